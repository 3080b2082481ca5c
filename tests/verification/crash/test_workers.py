"""Several processes credit one batch on one server; some are killed, one is cut off: each cent once, one report."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import psycopg
import pytest
from sqlalchemy.engine import URL

from cashback.database import Database
from cashback.database.dialect import name_of
from cashback.database.payouts import runs
from tests.conftest import A_CENTURY, Clock, LedgerFixture, raw
from tests.postgresql import Server
from verification.testbed.databases import address_of

pytestmark = pytest.mark.anyio

ROOT: Final = Path(__file__).parents[3]
PATIENCE_SECONDS: Final = 40
FIRST: Final = 1_000
PEOPLE: Final = 200
CHUNK: Final = 10


@pytest.fixture
async def ledger(postgresql: Server, new_ledger_on_server: URL, clock: Clock) -> AsyncIterator[LedgerFixture]:
    """Open a ledger fixture on a server's ledger, with cashback pending; see at the end that the books balance."""
    url = postgresql.create(new_ledger_on_server)
    async with Database(url, clock=clock) as database:
        opened = LedgerFixture(database, clock)
        await opened.earn_all((FIRST + number, 100 + number) for number in range(PEOPLE))
        yield opened
        assert (await opened.verify()).breaches == ()
    postgresql.drop(url)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a row that another process writes, which causes no event."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 -- see above
            await anyio.sleep(0.02)


@asynccontextmanager
async def worker(name: str, ledger: LedgerFixture, folder: Path) -> AsyncIterator[anyio.abc.Process]:
    """Run a worker as a process; the server knows it by its name."""
    (folder / "config.json").write_text(json.dumps({"referral_settings": {"chunk_size": CHUNK}}))
    environment = {
        **os.environ,
        "CASHBACK_DATABASE": name_of(ledger.location, password=True),
        "PGAPPNAME": name,
        "PYTHONPATH": str(ROOT),
    }
    with (folder / f"{name}.log").open("wb") as log:
        async with await anyio.open_process(
            [sys.executable, "-m", "cli", "worker"], cwd=folder, env=environment, stdout=log, stderr=log
        ) as process:
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()


def waiting(ledger: LedgerFixture) -> list[str]:
    """Return the sessions that wait in a transaction for a locked row."""
    query = (
        "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return sorted(name for (name,) in ledger.rows(query))


def payouts(ledger: LedgerFixture) -> dict[str, int]:
    """Count the payouts by their state."""
    return dict(ledger.rows("SELECT status, count(*) FROM cashback_payouts GROUP BY status"))


async def test_killed_or_disconnected_workers_lose_and_double_no_cent(ledger: LedgerFixture, tmp_path: Path) -> None:
    number = await ledger.approved(valid=A_CENTURY)
    names = ["one", "two", "three", "four"]
    assert isinstance(ledger.location, URL)
    async with AsyncExitStack() as stack:
        with psycopg.connect(address_of(ledger.location)) as holder:
            # In each of four chunks a wallet is locked: the worker that credits it waits in the middle.
            locked = [FIRST + n * 4 * CHUNK + 5 for n in range(len(names))]
            holder.execute("SELECT 1 FROM users WHERE discord_id = ANY(%s) FOR UPDATE", [locked])
            workers = {name: await stack.enter_async_context(worker(name, ledger, tmp_path)) for name in names}
            await until(lambda: waiting(ledger) == sorted(names))
            before = payouts(ledger)
            assert before["planned"] >= len(names) * CHUNK
            assert before["credited"] % CHUNK == 0
            for name in ("one", "two"):
                workers[name].send_signal(signal.SIGKILL)
                await workers[name].wait()
            with raw(ledger.location) as server:
                cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'three'"
                server.execute(cut)
            assert payouts(ledger) == before
        await until(lambda: ledger.rows("SELECT status FROM cashback_payout_batches") == [("completed",)])
        for name in ("three", "four"):
            workers[name].send_signal(signal.SIGTERM)
            assert await workers[name].wait() == 0
    report = await ledger.report(number)
    assert (report.users_paid, report.total_cents) == (PEOPLE, sum(100 + n for n in range(PEOPLE)))
    assert ledger.rows("SELECT count(*) FROM cashback_audit_log WHERE action = 'batch_finished'") == [(1,)]
    query = "SELECT wallet_balance_cents FROM users WHERE discord_id BETWEEN ? AND ? ORDER BY discord_id"
    assert ledger.rows(query, FIRST, FIRST + PEOPLE - 1) == [(100 + n,) for n in range(PEOPLE)]


async def test_workers_resume_after_server_crash_and_pay_each_cent_once(
    ledger: LedgerFixture, postgresql: Server, tmp_path: Path
) -> None:
    number = await ledger.approved(valid=A_CENTURY)
    names = ["one", "two"]
    assert isinstance(ledger.location, URL)
    async with AsyncExitStack() as stack:
        holder = psycopg.connect(address_of(ledger.location))
        locked = [FIRST + n * 4 * CHUNK + 5 for n in range(len(names))]
        holder.execute("SELECT 1 FROM users WHERE discord_id = ANY(%s) FOR UPDATE", [locked])
        workers = {name: await stack.enter_async_context(worker(name, ledger, tmp_path)) for name in names}
        await until(lambda: waiting(ledger) == names)
        before = payouts(ledger)
        postgresql.crash()
        holder.close()
        assert before["credited"] <= payouts(ledger)["credited"] < PEOPLE
        await until(lambda: ledger.rows("SELECT status FROM cashback_payout_batches") == [("completed",)])
        for name in names:
            workers[name].send_signal(signal.SIGTERM)
            assert await workers[name].wait() == 0
    assert (await ledger.report(number)).users_paid == PEOPLE
    assert ledger.rows("SELECT count(*) FROM cashback_audit_log WHERE action = 'batch_finished'") == [(1,)]
    query = "SELECT wallet_balance_cents FROM users WHERE discord_id BETWEEN ? AND ? ORDER BY discord_id"
    assert ledger.rows(query, FIRST, FIRST + PEOPLE - 1) == [(100 + n,) for n in range(PEOPLE)]
    assert "Traceback" not in "".join((tmp_path / f"{name}.log").read_text() for name in names)


async def test_chunk_of_dead_worker_is_paid_by_another(ledger: LedgerFixture) -> None:
    number = await ledger.approved(valid=A_CENTURY)
    assert isinstance(ledger.location, URL)
    with psycopg.connect(address_of(ledger.location)) as other:
        other.execute("SELECT 1 FROM cashback_payouts WHERE referrer_id = %s FOR UPDATE", [FIRST])

        async def die_when_all_else_is_paid() -> None:
            await until(lambda: payouts(ledger) == {"planned": CHUNK, "credited": PEOPLE - CHUNK})
            assert {row[:2] for row in ledger.payouts(number)[:CHUNK]} == {(FIRST + n, "planned") for n in range(CHUNK)}
            other.rollback()

        async with anyio.create_task_group() as both:
            both.start_soon(die_when_all_else_is_paid)
            recorder = await ledger.run(number, chunk_size=CHUNK)
    assert recorder.interruptions == []
    assert recorder.reports[0].users_paid == PEOPLE


async def test_stop_takes_effect_after_the_present_chunk(ledger: LedgerFixture) -> None:
    number = await ledger.approved(valid=A_CENTURY)
    assert isinstance(ledger.location, URL)
    with psycopg.connect(address_of(ledger.location)) as holder:
        holder.execute("SELECT 1 FROM users WHERE discord_id = %s FOR UPDATE", [FIRST + CHUNK])
        async with Database(ledger.location, clock=ledger.clock) as elsewhere, anyio.create_task_group() as both:

            async def stop() -> None:
                await until(lambda: payouts(ledger).get("credited") == CHUNK and waiting(ledger))
                await elsewhere.write(runs.stop, number, actor="cli", now=ledger.clock())
                holder.rollback()

            both.start_soon(stop)
            recorder = await ledger.run(number, chunk_size=CHUNK)
    assert recorder.interruptions == []
    assert payouts(ledger) == {"planned": PEOPLE - 2 * CHUNK, "credited": 2 * CHUNK}
    assert (await ledger.report(number)).status == "stopped"
