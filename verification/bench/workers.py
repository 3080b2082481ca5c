"""Crediting on PostgreSQL by one, two and four processes that share a batch, against the same rows by raw psycopg.

Each measurement has its own server, with the default durability, and a new community on it. The clock runs from the
moment when all processes are connected until the batch is closed.
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final, LiteralString

import anyio
import psycopg

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import approvals, proposals, runs
from cashback.domain.ports import NullObserver, utc_now
from pipeline.messages import RunBatch
from stages import make_pipeline
from verification.bench.datasets import FIRST_BUYER, FIRST_REFERRER, NOW, PENDING
from verification.bench.measuring import Case
from verification.testbed.databases import new_server

ROWS: Final = 10_000
CHUNK: Final = 500
WORKERS: Final = (1, 2, 4)
TIMES_BASELINE: Final = 1 / 0.6

COMMUNITY: Final[tuple[LiteralString, ...]] = (
    "INSERT INTO users (discord_id) SELECT n FROM generate_series({referrer}, {referrer} + {rows} - 1) n",
    "INSERT INTO users (discord_id) SELECT n FROM generate_series({buyer}, {buyer} + {rows} - 1) n",
    (
        "INSERT INTO referrals (referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents)"
        " SELECT {referrer} + n, {buyer} + n, 200 * {cents}, {cents} FROM generate_series(0, {rows} - 1) n"
    ),
    "ANALYZE",
)
TRANSACTION: Final = (
    "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
    " description, metadata, created_at, cashback_payout_batch_number)"
    " VALUES (%s, %s, %s, 'referral_cashback', 'Referral cashback - 1 active referral', %s, %s, 1)"
)
REFERRAL: Final = "UPDATE referrals SET cashback_paid_cents = cashback_earned_cents WHERE referrer_user_id = %s"
BALANCE: Final = "UPDATE users SET wallet_balance_cents = %s, updated_at = %s WHERE discord_id = %s"
NOTIFICATION: Final = "INSERT INTO cashback_notifications (batch_number, user_id, status) VALUES (1, %s, 'queued')"
PAYOUT: Final = (
    "UPDATE cashback_payouts SET status = 'credited', paid_cents = %s, settled_at = %s"
    " WHERE batch_number = 1 AND referrer_id = %s"
)


def note_size(path: Path, rows: int) -> None:
    """Store the size of the community."""
    path.write_text(str(rows))


@contextmanager
def approved(rows: int) -> Iterator[str]:
    """Start a server with a community whose batch is running; yield its address."""
    with new_server() as address:
        anyio.run(_approve, address, rows)
        yield address


async def _approve(address: str, rows: int) -> None:
    async with Database(address) as database:
        with psycopg.connect(address, autocommit=True) as raw:
            for statement in COMMUNITY:
                filled = statement.format(referrer=FIRST_REFERRER, buyer=FIRST_BUYER, rows=rows, cents=PENDING)
                raw.execute(filled.encode())
        now = database.now()
        summary = await database.write(proposals.propose, actor="bench", now=now, expires_at=None)
        await database.write(approvals.approve, summary.batch_number, actor="bench", now=now)
        await database.write(runs.start, summary.batch_number, now=now)


def share(path: Path) -> dict[str, float]:
    """Credit a batch by each number of processes."""
    return {_name(count): _seconds(int(path.read_text()), count) for count in WORKERS}


def _name(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"


def _seconds(rows: int, count: int) -> float:
    spawn = multiprocessing.get_context("spawn")
    with approved(rows) as address:
        barrier = spawn.Barrier(count + 1)
        workers = [spawn.Process(target=_work, args=(address, barrier)) for _ in range(count)]
        for worker in workers:
            worker.start()
        barrier.wait()
        start = utc_now()
        for worker in workers:
            worker.join()
        with psycopg.connect(address) as raw:
            [(count, end)] = raw.execute("SELECT credited_count, finished_at FROM cashback_payout_batches").fetchall()
    if count != rows:
        message = f"{count} of {rows} payouts were credited"
        raise RuntimeError(message)
    return float((end - start).total_seconds())


def _work(address: str, barrier: Barrier) -> None:
    """Run one of the processes: what `cashback worker` does with a batch that it has found."""

    async def work() -> None:
        async with Database(address) as database:
            request = RunBatch(batch_number=1)
            pipeline = make_pipeline(
                request, database=database, observer=NullObserver(), outbox_changed=WakeUp(), chunk_size=CHUNK
            )
            barrier.wait()
            await pipeline.run(request)

    anyio.run(work)


def write_raw(path: Path) -> dict[str, float]:
    """Write the same rows in the same chunks, from one connection that knows them beforehand."""
    rows = int(path.read_text())
    with approved(rows) as address, psycopg.connect(address, autocommit=True) as connection:
        details = '{"batch_id": "BATCH-20260102-150000", "referral_count": 1}'
        start = time.perf_counter()
        for first in range(FIRST_REFERRER, FIRST_REFERRER + rows, CHUNK):
            chunk = range(first, min(first + CHUNK, FIRST_REFERRER + rows))
            with connection.transaction(), connection.cursor() as cursor:
                _write_chunk(cursor, chunk, details)
        connection.execute(
            "UPDATE cashback_payout_batches SET status = 'completed', finished_at = %s, credited_count = %s,"
            " credited_cents = %s",
            (NOW, rows, rows * PENDING),
        )
        seconds = time.perf_counter() - start
    return {_name(count): seconds for count in WORKERS}


def _write_chunk(cursor: psycopg.Cursor[Any], chunk: range, details: str) -> None:
    cursor.executemany(TRANSACTION, [(each, PENDING, PENDING, details, NOW) for each in chunk])
    cursor.executemany(REFERRAL, [(each,) for each in chunk])
    cursor.executemany(BALANCE, [(PENDING, NOW, each) for each in chunk])
    cursor.executemany(NOTIFICATION, [(each,) for each in chunk])
    cursor.executemany(PAYOUT, [(PENDING, NOW, each) for each in chunk])


def cases(*, full: bool) -> list[Case]:
    """Share one batch; the baseline has one connection, however many share."""
    return [
        Case(
            name="workers",
            rows=10 * ROWS if full else ROWS,
            prepare=note_size,
            program=share,
            baseline=write_raw,
            times={_name(1): TIMES_BASELINE},
            rounds=1,
        )
    ]
