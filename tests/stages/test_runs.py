"""Whole runs through the four stages: chunks of any size, ends at any moment, and what a second run makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.dialect import name_of
from cashback.domain.model import BatchStatus, ChunkCredited
from pipeline.messages import RunBatch
from pipeline.runner import Pipeline, Runner
from stages import make_pipeline
from tests.conftest import LedgerFixture, OpenDatabase, Recorder, raw, run_batches

pytestmark = pytest.mark.anyio

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("chunk_size", [1, 2, 500])
async def test_chunk_size_does_not_change_payouts(ledger: LedgerFixture, chunk_size: int) -> None:
    await ledger.earn_all((referrer, 10 + referrer) for referrer in range(1, 8))
    await ledger.earn(3, 1, 2)
    recorder = await ledger.run(await ledger.approved(), chunk_size=chunk_size)
    report = recorder.reports[0]
    assert (report.users_paid, report.total_cents, report.dm_queued) == (7, 101, 7)
    assert [ledger.balance(referrer) for referrer in range(1, 8)] == [11, 12, 16, 14, 15, 16, 17]
    assert len(recorder.chunks) == -(-7 // chunk_size)
    assert sum(chunk.credited_cents for chunk in recorder.chunks) == 101


@pytest.mark.parametrize("commits", range(1, 6))
@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_crash_at_any_commit_is_completed_by_the_next_run(
    ledger: LedgerFixture, open_database: OpenDatabase, commits: int, moment: str
) -> None:
    """Five commits: the start, three chunks, the close."""
    await ledger.earn_all((referrer, 100) for referrer in range(1, 6))
    number = await ledger.approved()
    left = iter(range(commits - 1, -1, -1))

    def failpoint(at: str) -> None:
        if at == moment and not next(left):
            raise ArithmeticError(moment)

    async with open_database(failpoint=failpoint) as failing:
        interrupted = await run_batches(failing, number, chunk_size=2)
    assert interrupted.interruptions == [(number, f"ArithmeticError: {moment}")]
    assert (await ledger.verify()).balanced
    closed = (commits, moment) == (5, "after commit")
    if not closed:
        started = (commits, moment) != (1, "before commit")
        assert (await ledger.report(number)).status is (BatchStatus.RUNNING if started else BatchStatus.APPROVED)
        assert (await ledger.run(number, chunk_size=2)).interruptions == []
    report = await ledger.report(number)
    assert (report.status, report.users_paid, report.total_cents) == (BatchStatus.COMPLETED, 5, 500)
    assert [ledger.balance(referrer) for referrer in range(1, 6)] == [100] * 5


async def test_unexpected_exception_leaves_batch_running_and_next_batch_runs(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in range(1, 6))
    first, second = await ledger.approved(target_user_id=2), await ledger.approved(target_user_id=3)
    recorder = Recorder()

    class Breaks(Recorder):
        async def progressed(self, chunk: ChunkCredited) -> None:
            if chunk.batch_number == first:
                raise ZeroDivisionError

    breaks = Breaks()

    def pipeline(request: RunBatch) -> Pipeline:
        return make_pipeline(
            request, database=ledger.database, observer=breaks, outbox_changed=WakeUp(), chunk_size=500
        )

    with anyio.fail_after(10):
        async with Runner(pipeline, recorder) as runner:
            runner.submit(first)
            runner.submit(second)
            runner.close()
            await runner.run()
    assert recorder.interruptions == [(first, "ZeroDivisionError: no further details")]
    assert [report.batch_number for report in recorder.reports] == [second]
    assert (await ledger.report(first)).status is BatchStatus.RUNNING
    assert (await ledger.run(first)).reports[0].total_cents == 100
    assert (ledger.balance(2), ledger.balance(3)) == (100, 100)


@pytest.mark.parametrize("commit", [1, 2, 3])
async def test_cancellation_within_a_chunk_loses_nothing(
    ledger: LedgerFixture, open_database: OpenDatabase, commit: int
) -> None:
    await ledger.earn_all((referrer, 100) for referrer in range(1, 6))
    number = await ledger.approved()
    moments: list[str] = []
    scope = anyio.CancelScope()

    def failpoint(moment: str) -> None:
        moments.append(moment)
        if moments.count("before commit") == commit and moment == "before commit":
            anyio.from_thread.run_sync(scope.cancel)

    async with open_database(failpoint=failpoint) as cancelled:
        with scope:
            await run_batches(cancelled, number, chunk_size=2)
    assert scope.cancelled_caught
    assert moments[-1] == "after commit"
    assert ledger.rows("SELECT count(*) FROM wallet_transactions") == [(2 * (commit - 1),)]
    assert (await ledger.verify()).balanced
    assert (await ledger.run(number, chunk_size=2)).reports[0].total_cents == 500
    assert [ledger.balance(referrer) for referrer in range(1, 6)] == [100] * 5


async def test_failing_payouts_do_not_affect_others(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in range(1, 21))
    with raw(ledger.location) as connection:
        connection.execute(
            "CREATE TRIGGER bad BEFORE UPDATE OF wallet_balance_cents ON users WHEN OLD.discord_id % 2 = 1"
            " BEGIN SELECT RAISE(ABORT, 'odd'); END"
        )
    recorder = await ledger.run(await ledger.approved(), chunk_size=7)
    report = recorder.reports[0]
    assert (report.users_paid, report.failed, report.total_cents) == (10, 10, 1000)
    assert [failure.referrer_id for failure in report.failures] == list(range(1, 21, 2))
    assert [chunk.credited + chunk.failed for chunk in recorder.chunks] == [7, 7, 6]


class Counted(WakeUp):
    """A wake-up event that counts how often it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.rung = 0

    def set(self) -> None:
        """Count, and ring."""
        self.rung += 1
        super().set()


async def test_dispatcher_is_woken_per_paid_chunk_and_at_the_end(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2, 3))
    paid, skipped = await ledger.approved(), await ledger.approved()
    bells = {number: Counted() for number in (paid, skipped)}
    for number, outbox_changed in bells.items():
        await run_batches(ledger.database, number, chunk_size=2, outbox_changed=outbox_changed)
    assert [outbox_changed.rung for outbox_changed in bells.values()] == [2 + 1, 1]
    assert (await ledger.report(skipped)).skipped == 3


KILLED = """
import os, sys, anyio
from cashback.database import Database
from tests.conftest import FRIDAY, run_batches

left = int(sys.argv[2])

def failpoint(moment):
    global left
    if moment == sys.argv[3]:
        left -= 1
        if not left:
            os._exit(9)

async def main():
    async with Database(sys.argv[1], failpoint=failpoint, clock=lambda: FRIDAY) as database:
        await run_batches(database, 1, chunk_size=2)

anyio.run(main)
"""


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_killed_process_is_followed_by_one_that_completes_the_batch(ledger: LedgerFixture, moment: str) -> None:
    await ledger.earn_all((referrer, 100) for referrer in range(1, 6))
    number = await ledger.approved()
    command = [sys.executable, "-c", KILLED, name_of(ledger.location, password=True), "3", moment]
    died = await anyio.run_process(command, cwd=PROJECT, check=False, stderr=subprocess.STDOUT)
    assert died.returncode == 9, died.stdout
    assert ledger.rows("SELECT count(*) FROM wallet_transactions") == [(2 if moment == "before commit" else 4,)]
    assert (await ledger.verify()).balanced
    assert (await ledger.run(number)).reports[0].total_cents == 500
    assert [ledger.balance(referrer) for referrer in range(1, 6)] == [100] * 5


async def test_readers_do_not_wait_for_a_batch(ledger: LedgerFixture, open_database: OpenDatabase) -> None:
    """A reader answers while a chunk stands before its commit, and sees nothing of it yet."""
    await ledger.earn(1, 100)
    number = await ledger.approved()
    seen: list[int] = []

    async def look(database: Database) -> None:
        with anyio.fail_after(5):
            seen.append(int((await database.get_pending_cashback_for_user(1))["pending_cents"]))

    async with open_database() as reader:

        def failpoint(moment: str) -> None:
            if moment == "before commit":
                anyio.from_thread.run(look, reader)

        async with open_database(failpoint=failpoint) as writer:
            await run_batches(writer, number)
    assert seen == [100, 100, 0]
