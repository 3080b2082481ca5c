"""Stop, resume and abandon in the middle of a run, and the retry of what failed, through the real stages."""

from __future__ import annotations

import anyio
import pytest

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import batches, retries, runs
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchStatus, ChunkCredited
from pipeline.messages import RunBatch
from pipeline.runner import Pipeline, Runner
from stages import make_pipeline
from tests.conftest import LedgerFixture, Recorder, raw

pytestmark = pytest.mark.anyio


class StopsAfter(Recorder):
    """Watches a run, and stops the batch after so many chunks, as another process would."""

    def __init__(self, database: Database, chunks: int) -> None:
        super().__init__()
        self._database = database
        self._chunks = chunks

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Keep the chunk; stop."""
        await super().progressed(chunk)
        if len(self.chunks) == self._chunks:
            await self._database.write(runs.stop, chunk.batch_number, actor="discord:7", now=self._database.now())


async def run_and_stop(ledger: LedgerFixture, number: int, *, after_chunks: int = 1) -> StopsAfter:
    """Run a batch payout by payout and stop it on the way."""
    watch = StopsAfter(ledger.database, after_chunks)

    def pipeline(request: RunBatch) -> Pipeline:
        return make_pipeline(request, database=ledger.database, observer=watch, outbox_changed=WakeUp(), chunk_size=1)

    async with Runner(pipeline, watch) as runner:
        runner.submit(number)
        runner.close()
        with anyio.fail_after(20):
            await runner.run()
    return watch


async def test_stop_ends_after_the_chunk_and_resume_pays_the_rest(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in range(1, 41))
    number = await ledger.approved()
    watch = await run_and_stop(ledger, number)
    assert watch.interruptions == []
    [report] = watch.reports
    assert report.status is BatchStatus.STOPPED
    assert 0 < report.users_paid < 40
    assert len(watch.chunks) == report.users_paid
    assert (await ledger.verify()).balanced

    again = await ledger.run(number)
    assert again.reports[0].users_paid == report.users_paid, "a stopped batch is set going by a resume only"
    assert await ledger.database.read(batches.unfinished) == []

    await ledger.database.write(runs.resume, number, actor="cli", now=ledger.clock())
    assert await ledger.database.read(batches.unfinished) == [number]
    [done] = (await ledger.run(number)).reports
    assert (done.status, done.users_paid, done.total_cents) == (BatchStatus.COMPLETED, 40, 4000)
    assert [ledger.balance(referrer) for referrer in range(1, 41)] == [100] * 40


async def test_abandoned_cashback_stays_pending(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in range(1, 41))
    number = await ledger.approved()
    paid = (await run_and_stop(ledger, number)).reports[0].users_paid
    report = await ledger.database.write(runs.abandon, number, actor="discord:7", now=ledger.clock())
    assert (report.status, report.users_paid, report.skipped) == (BatchStatus.COMPLETED, paid, 40 - paid)
    assert [(each.reason, each.count, each.cents) for each in report.skips] == [
        ("given_up", 40 - paid, (40 - paid) * 100)
    ]
    assert sum([await ledger.pending(referrer) for referrer in range(1, 41)]) == (40 - paid) * 100
    assert (await ledger.pay()).users_paid == 40 - paid


async def test_waiting_batch_can_be_stopped(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    await ledger.database.write(runs.stop, number, actor="cli", now=ledger.clock())
    [report] = (await ledger.run(number)).reports
    assert (report.status, report.users_paid) == (BatchStatus.STOPPED, 0)
    await ledger.database.write(runs.resume, number, actor="cli", now=ledger.clock())
    assert (await ledger.run(number)).reports[0].users_paid == 1


def refuse(ledger: LedgerFixture, condition: str) -> None:
    """Make the ledger refuse the wallet transactions that match the condition."""
    with raw(ledger.location) as connection:
        connection.execute("DROP TRIGGER IF EXISTS refused")
        connection.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
        )


async def test_retry_pays_only_failed_payouts(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100 * referrer) for referrer in (1, 2, 3, 4))
    refuse(ledger, "NEW.user_discord_id > 2")
    number = (await ledger.pay()).batch_number
    await ledger.earn_all((referrer, 5) for referrer in (1, 2, 3, 4))
    refuse(ledger, "NEW.user_discord_id > 3")

    assert await ledger.database.write(retries.begin, number, actor="discord:7", why="mended", now=ledger.clock()) == 2
    [report] = (await ledger.run(number)).reports
    assert (report.status, report.users_paid, report.total_cents, report.failed) == (
        BatchStatus.COMPLETED_WITH_FAILURES,
        3,
        600,
        1,
    )
    assert [ledger.balance(referrer) for referrer in (1, 2, 3, 4)] == [100, 200, 300, 0]
    assert [await ledger.pending(referrer) for referrer in (1, 2, 3, 4)] == [5, 5, 5, 405]

    refuse(ledger, "1 = 0")
    await ledger.database.write(retries.begin, number, actor="system", why=None, now=ledger.clock())
    [report] = (await ledger.run(number)).reports
    assert (report.status, report.users_paid, report.total_cents) == (BatchStatus.COMPLETED, 4, 1000)
    closed = "The ledger refused a row: the bank is closed."
    assert ledger.rows(
        "SELECT referrer_id, attempt, requested_by, why, failed_before, outcome, reason FROM cashback_payout_attempts"
        " ORDER BY referrer_id, attempt"
    ) == [
        (3, 1, "discord:7", "mended", closed, "credited", None),
        (4, 1, "discord:7", "mended", closed, "failed", closed),
        (4, 2, "system", None, closed, "credited", None),
    ]
    with pytest.raises(StaleBatchError, match=f"{report.batch_id} is completed; there is no failed payout to retry"):
        await ledger.database.write(retries.begin, number, actor="cli", why=None, now=ledger.clock())


async def test_retry_pays_at_most_what_is_owed(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 100)])
    refuse(ledger, "1 = 1")
    number = (await ledger.pay()).batch_number
    refuse(ledger, "NEW.user_discord_id = 2")
    assert (await ledger.pay()).total_cents == 100, "the next batch pays what is pending"
    refuse(ledger, "1 = 0")
    await ledger.database.mark_cashback_paid(2, 40)
    await ledger.database.write(retries.begin, number, actor="cli", why=None, now=ledger.clock())
    [report] = (await ledger.run(number)).reports
    assert ledger.payouts(number) == [(1, "skipped", 0, "nothing_pending"), (2, "credited", 60, None)]
    assert (report.skipped, report.total_cents) == (1, 60)


async def test_abandoned_failed_payouts_complete_the_batch(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 100)])
    refuse(ledger, "NEW.user_discord_id = 2")
    number = (await ledger.pay()).batch_number
    [failure] = await ledger.database.read(retries.open_failures, limit=10)
    assert (failure.referrer_id, failure.attempts, failure.approved_cents) == (2, 1, 100)
    report = await ledger.database.write(runs.abandon, number, actor="discord:7", now=ledger.clock())
    assert (report.status, report.failed, report.skipped) == (BatchStatus.COMPLETED, 0, 1)
    assert await ledger.database.read(retries.open_failures, limit=10) == []
    assert await ledger.database.read(retries.count_open_failures) == 0
    assert await ledger.pending(2) == 100


@pytest.mark.parametrize("act", [runs.stop, runs.resume, runs.abandon])
async def test_finished_batch_cannot_be_stopped_resumed_or_abandoned(ledger: LedgerFixture, act: object) -> None:
    await ledger.earn(1, 100)
    report = await ledger.pay()
    before = ledger.money()
    with pytest.raises(StaleBatchError, match=rf"^Batch {report.batch_id} is completed; there is nothing to"):
        await ledger.database.write(act, report.batch_number, actor="cli", now=ledger.clock())  # type: ignore[arg-type]
    assert ledger.money() == before


async def test_settled_batch_is_not_stopped(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=ledger.clock())
    with raw(ledger.location) as connection:
        connection.execute("UPDATE cashback_payouts SET status = 'skipped', reason = 'nothing_pending'")
    with pytest.raises(StaleBatchError, match="is running; there is nothing to stop"):
        await ledger.database.write(runs.stop, number, actor="cli", now=ledger.clock())
    assert (await ledger.run(number)).reports[0].status is BatchStatus.COMPLETED
