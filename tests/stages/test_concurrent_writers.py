"""Crediting in parallel to other processes: locked payouts are passed over, and tried again at the end.

PostgreSQL reports locked payouts to a claim; here the test simulates that. All else is real.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import datetime

import anyio
import pytest
from sqlalchemy import Connection

from cashback.background.chunk_size import ChunkSize
from cashback.background.wakeup import WakeUp
from cashback.database.payouts import crediting, runs
from cashback.domain.errors import ChunkLockedError
from cashback.domain.model import BatchStatus, ChunkCredited, ChunkDiscovered
from stages.crediting import Crediting
from tests.conftest import LedgerFixture, raw, run_batches
from verification.testbed.databases import break_wallet, connect

pytestmark = pytest.mark.anyio

LetOthers = Callable[[int, int], list[int]]


@pytest.fixture
def let_others_have(monkeypatch: pytest.MonkeyPatch) -> LetOthers:
    """Lock one referrer's payout as another process, for so many tries; list the chunks that were tried."""
    credit = crediting.credit_chunk

    def let(referrer_id: int, times: int) -> list[int]:
        tried: list[int] = []

        def beside(connection: Connection, chunk: ChunkDiscovered, *, now: datetime) -> ChunkCredited:
            tried.append(chunk.first_referrer_id)
            if chunk.first_referrer_id == referrer_id and tried.count(referrer_id) <= times:
                raise ChunkLockedError
            return credit(connection, chunk, now=now)

        monkeypatch.setattr(crediting, "credit_chunk", beside)
        monkeypatch.setattr("stages.crediting.POLL_SECONDS", 0)
        return tried

    return let


async def test_chunk_locked_by_dead_process_is_credited_last(ledger: LedgerFixture, let_others_have: LetOthers) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2, 3))
    number = await ledger.approved()
    tried = let_others_have(2, 2)
    recorder = await ledger.run(number, chunk_size=1)
    assert tried == [1, 2, 3, 2, 2]
    assert [(chunk.batch_number, chunk.credited) for chunk in recorder.chunks] == [(number, 1)] * 3
    [report] = recorder.reports
    assert (report.status, report.users_paid) == (BatchStatus.COMPLETED, 3)


async def test_chunk_settled_by_other_process_is_skipped(
    ledger: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2, 3))
    number = await ledger.approved()
    credit, tried = crediting.credit_chunk, list[int]()

    def beside(connection: Connection, chunk: ChunkDiscovered, *, now: datetime) -> ChunkCredited:
        tried.append(chunk.first_referrer_id)
        if chunk.first_referrer_id == 2:
            raise ChunkLockedError
        # The other process is done by the time that the last chunk is.
        if chunk.first_referrer_id == 3:
            second = ChunkDiscovered(batch_number=number, first_referrer_id=2, last_referrer_id=2)
            assert credit(connection, second, now=now).credited == 1
        return credit(connection, chunk, now=now)

    monkeypatch.setattr(crediting, "credit_chunk", beside)
    recorder = await ledger.run(number, chunk_size=1)
    assert tried == [1, 2, 3]
    assert len(recorder.chunks) == 2
    assert recorder.reports[0].users_paid == 3


async def test_locked_payout_is_skipped_in_replay_and_credited_last(
    ledger: LedgerFixture, let_others_have: LetOthers
) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2, 3))
    number = await ledger.approved()
    with raw(ledger.location) as connection:
        connection.execute(
            "CREATE TRIGGER bad_row BEFORE UPDATE OF wallet_balance_cents ON users WHEN OLD.discord_id = 1"
            " BEGIN SELECT RAISE(ABORT, 'wallet is broken'); END"
        )
    tried = let_others_have(2, 1)
    recorder = await ledger.run(number, chunk_size=3)
    assert tried == [1, 1, 2, 3, 2]
    assert recorder.chunks == [
        ChunkCredited(batch_number=number, credited=1, credited_cents=100, failed=1, skipped=0),
        ChunkCredited(batch_number=number, credited=1, credited_cents=100, failed=0, skipped=0),
    ]
    assert (recorder.reports[0].users_paid, recorder.reports[0].failed) == (2, 1)


async def test_chunk_of_batch_finished_elsewhere_is_skipped(
    ledger: LedgerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    await ledger.earn(1, 100)
    number = (await ledger.pay()).batch_number
    emitted: list[ChunkCredited] = []

    async def emit(chunk: ChunkCredited) -> None:
        emitted.append(chunk)

    caplog.set_level(logging.INFO)
    chunk = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=1)
    stage = Crediting(ledger.database, ChunkSize(most=500))
    await stage.handle(chunk, emit)
    await stage.finish(emit)
    assert emitted == []
    assert f"batch {number} was finished by another process; a chunk of it was settled there" in caplog.text
    assert ledger.balance(1) == 100


async def test_payouts_of_other_processes_wake_the_dispatcher_at_the_end(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2, 3))
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=ledger.clock())
    everybody = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=3)
    await ledger.database.write(crediting.credit_chunk, everybody, now=ledger.clock())
    outbox_changed = WakeUp()
    recorder = await run_batches(ledger.database, number, outbox_changed=outbox_changed)
    assert (recorder.chunks, recorder.reports[0].users_paid) == ([], 3)
    with anyio.fail_after(5):
        await outbox_changed.wait(3_600)


async def test_a_bad_row_in_a_large_chunk_fails_alone_and_the_rest_is_paid(
    ledger: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.crediting.FIRST", 3)
    people = range(1, 21)
    await ledger.earn_all((referrer, 100) for referrer in people)
    number = await ledger.approved()
    with closing(connect(ledger.location)) as connection:
        break_wallet(connection, 13)
    recorder = await ledger.run(number)
    assert [(each.credited, each.failed, each.skipped) for each in recorder.chunks] == [(len(people) - 1, 1, 0)]
    assert [each.referrer_id for each in recorder.reports[0].failures] == [13]
    assert [ledger.balance(referrer) for referrer in people] == [0 if referrer == 13 else 100 for referrer in people]
