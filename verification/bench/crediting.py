"""Crediting through the whole pipeline (propose, approve, discover, credit, queue, audit) against the same rows, raw.

The baseline decides nothing: it knows before its clock starts which amounts to pay, and only writes: the same schema,
with its indexes and triggers, the same pragmas, chunks and rows. The program's extra time is the price of finding out,
and of checking at the moment of writing.

Before its clock the program pays one member: a process compiles its statements with its first batch, some 45 ms once,
and a bot runs for weeks.

How the time for a payout grows is a line of its own: one large community against as many payouts to small ones. They
alternate like all else, and last equally long, so that the machine's noise affects both.
"""

import json
import shutil
import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import approvals, proposals
from cashback.domain.model import BatchReport
from cashback.domain.ports import NullObserver
from pipeline.messages import RunBatch
from stages import make_pipeline
from verification.bench.datasets import FIRST_REFERRER, NOW, all_pending, open_raw
from verification.bench.measuring import Case, Result

CHUNK: Final = 500
BATCH_ID: Final = "BATCH-20260102-150000"
SMALL: Final = 10_000
LARGEST: Final = 1_000_000
TIMES_BASELINE: Final = 1.25
"""0.8 of its speed."""
CREDIT: Final = "credit"
GROWTH: Final = f"credit, not {SMALL:,} at a time"
MOST_GROWTH: Final = 1.2

Planned = tuple[int, int, int, int]
"""Referrer, cents, number of referrals, balance before."""


async def pay(database: Database, *, target_user_id: int | None = None) -> BatchReport:
    """Pay everything that is pending, only to one member if named."""
    now = database.now()
    summary = await database.write(
        proposals.propose, actor="bench", now=now, expires_at=None, target_user_id=target_user_id
    )
    await database.write(approvals.approve, summary.batch_number, actor="bench", now=now)
    request = RunBatch(batch_number=summary.batch_number)
    pipeline = make_pipeline(
        request, database=database, observer=NullObserver(), outbox_changed=WakeUp(), chunk_size=CHUNK
    )
    return await pipeline.run(request)


async def _pay(path: Path) -> float:
    async with Database(path) as database:
        await pay(database, target_user_id=FIRST_REFERRER)
        start = time.perf_counter()
        await pay(database)
        return time.perf_counter() - start


def credit(path: Path) -> dict[str, float]:
    """Pay everything that is pending through the pipeline."""
    return {"": anyio.run(_pay, path)}


def credit_small(path: Path, communities: int) -> dict[str, float]:
    """Pay so many communities of `SMALL`, each in a ledger of its own next to this path, through the pipeline."""
    fresh, ledger = path.with_name("small.db"), path.with_name("small-measured.db")
    if not fresh.exists():
        all_pending(fresh, SMALL)
    seconds = 0.0
    for _ in range(communities):
        shutil.copy(fresh, ledger)
        seconds += anyio.run(_pay, ledger)
    return {"": seconds}


def credit_raw(path: Path) -> dict[str, float]:
    """Write the same rows."""
    connection = open_raw(path)
    plan: list[Planned] = connection.execute(
        "SELECT r.referrer_user_id, sum(r.cashback_earned_cents - r.cashback_paid_cents), count(*),"
        " u.wallet_balance_cents"
        " FROM referrals r JOIN users u ON u.discord_id = r.referrer_user_id"
        " WHERE r.cashback_earned_cents > r.cashback_paid_cents GROUP BY r.referrer_user_id ORDER BY r.referrer_user_id"
    ).fetchall()
    owed: dict[int, list[int]] = {}
    for referral_id, referrer_id in connection.execute(
        "SELECT id, referrer_user_id FROM referrals WHERE cashback_earned_cents > cashback_paid_cents ORDER BY id"
    ):
        owed.setdefault(referrer_id, []).append(referral_id)
    start = time.perf_counter()
    _write_plan(connection, plan)
    for first in range(0, len(plan), CHUNK):
        _write_chunk(connection, plan[first : first + CHUNK], owed)
    _write_end(connection, plan)
    seconds = time.perf_counter() - start
    connection.close()
    return {"": seconds}


def _write_plan(connection: sqlite3.Connection, plan: Sequence[Planned]) -> None:
    cents = sum(row[1] for row in plan)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO cashback_payout_batches (number, mode, status, proposed_by, proposed_at, planned_count,"
        " planned_cents)"
        " VALUES (1, 'batch', 'proposed', 'baseline', ?, ?, ?)",
        (NOW, len(plan), cents),
    )
    connection.executemany(
        "INSERT INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count) VALUES (1, ?, ?, ?)",
        ((referrer, cents, count) for referrer, cents, count, _ in plan),
    )
    _write_audit(connection, "batch_proposed", len(plan), cents)
    connection.execute("COMMIT")
    for status in ("approved", "running"):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE cashback_payout_batches SET status = ?, batch_id = ?", (status, BATCH_ID))
        _write_audit(connection, f"batch_{status}", len(plan), cents)
        connection.execute("COMMIT")


def _write_chunk(connection: sqlite3.Connection, chunk: Sequence[Planned], owed: dict[int, list[int]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
        " description, metadata, created_at, cashback_payout_batch_number) VALUES (?, ?, ?, 'referral_cashback',"
        " ?, ?, ?, 1)",
        [
            (
                referrer,
                cents,
                balance + cents,
                f"Referral cashback - {count} active referrals",
                f'{{"batch_id": "{BATCH_ID}", "referral_count": {count}}}',
                NOW,
            )
            for referrer, cents, count, balance in chunk
        ],
    )
    connection.executemany(
        "UPDATE referrals SET cashback_paid_cents = cashback_earned_cents WHERE id = ?",
        [(referral_id,) for row in chunk for referral_id in owed[row[0]]],
    )
    connection.executemany(
        "UPDATE users SET wallet_balance_cents = ?, updated_at = ? WHERE discord_id = ?",
        [(balance + cents, NOW, referrer) for referrer, cents, _, balance in chunk],
    )
    connection.executemany(
        "INSERT INTO cashback_notifications (batch_number, user_id, status) VALUES (1, ?, 'queued')",
        [(row[0],) for row in chunk],
    )
    connection.executemany(
        "UPDATE cashback_payouts SET status = 'credited', paid_cents = ?, settled_at = ?"
        " WHERE batch_number = 1 AND referrer_id = ?",
        [(cents, NOW, referrer) for referrer, cents, _, _ in chunk],
    )
    connection.execute("COMMIT")


def _write_end(connection: sqlite3.Connection, plan: Sequence[Planned]) -> None:
    cents = sum(row[1] for row in plan)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "UPDATE cashback_payout_batches SET status = 'completed', finished_at = ?, credited_count = ?,"
        " credited_cents = ?",
        (NOW, len(plan), cents),
    )
    _write_audit(connection, "batch_finished", len(plan), cents)
    connection.execute("COMMIT")


def _write_audit(connection: sqlite3.Connection, action: str, users: int, cents: int) -> None:
    details = json.dumps({"batch_id": BATCH_ID, "users": users, "total_cents": cents})
    connection.execute(
        "INSERT INTO cashback_audit_log (at, actor, action, batch_number, details, digest) VALUES (?, 'baseline',"
        " ?, 1, ?, ?)",
        (NOW, action, details, "0" * 64),
    )


def cases(*, full: bool) -> list[Case]:
    """Pay communities of growing size, and the largest one against many small ones."""
    sizes = [(SMALL, 15), (100_000, 3)] + ([(LARGEST, 2)] if full else [])
    beside_raw = [
        Case(
            name=CREDIT,
            rows=referrers,
            prepare=all_pending,
            program=credit,
            baseline=credit_raw,
            times={"": TIMES_BASELINE},
            rounds=rounds,
        )
        for referrers, rounds in sizes
    ]
    largest, _ = sizes[-1]
    beside_small = Case(
        name=GROWTH,
        rows=largest,
        prepare=all_pending,
        program=credit,
        baseline=partial(credit_small, communities=largest // SMALL),
        times={"": MOST_GROWTH},
        rounds=3,
    )
    return [*beside_raw, beside_small]


def memory(results: Sequence[Result]) -> str:
    """Describe how the memory grows from the smallest community to the largest."""
    small, *_, large = [result for result in results if result.case.name == CREDIT]
    more_mb = large.program.peak_mb - small.program.peak_mb
    return (
        f"From {small.case.rows:,} to {large.case.rows:,} payouts the peak memory grows by {more_mb:.0f} MB (at most"
        f" 30) to {large.program.peak_mb:.0f} MB (at most 150)."
    )
