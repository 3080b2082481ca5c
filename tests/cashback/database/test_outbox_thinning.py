"""Old messages become counts: every report shows the same as before, and `verify` still finds one that is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cashback.background.outbox_thinning import KEPT_DAYS, OutboxThinning, thin_outbox
from cashback.database.payouts import outbox, outbox_thinning
from cashback.database.queries.overview import overview
from cashback.domain.model import NotificationStatus
from tests.conftest import Clock, LedgerFixture, raw

pytestmark = pytest.mark.anyio

OUTCOMES = {
    1: NotificationStatus.SENT,
    2: NotificationStatus.SENT,
    3: NotificationStatus.UNDELIVERABLE,
    4: NotificationStatus.FAILED,
}


async def delivered(ledger: LedgerFixture) -> int:
    """Pay five members: two messages are sent, one is undeliverable, one failed, the fifth member wants none."""
    with raw(ledger.location) as connection:
        connection.execute("INSERT INTO cashback_notification_preferences (user_id, payout_dm) VALUES (5, 0)")
    await ledger.earn_all([(person, 100 * person) for person in range(1, 6)])
    number = (await ledger.pay()).batch_number
    ids = dict(ledger.rows("SELECT user_id, id FROM cashback_notifications"))
    settled = [
        outbox.Settled(notification_id=ids[person], status=status, error=None, at=ledger.clock())
        for person, status in OUTCOMES.items()
    ]
    await ledger.database.write(outbox.settle, settled)
    return number


async def told(ledger: LedgerFixture, number: int) -> tuple[Any, ...]:
    """Read the messages' counts in the batch's report and in the overview."""
    report = await ledger.report(number)
    summed = await ledger.database.read(overview, now=ledger.clock(), min_payout_cents=1)
    counts = (report.dm_queued, report.dm_sent, report.dm_undeliverable, report.dm_failed, report.dm_muted)
    return *counts, dict(summed.settled_messages), summed.queued_messages


def kept(ledger: LedgerFixture) -> list[tuple[Any, ...]]:
    """List the messages that are rows: person and state."""
    return ledger.rows("SELECT user_id, status FROM cashback_notifications ORDER BY user_id")


async def test_thinned_messages_are_counted_as_before(ledger: LedgerFixture, clock: Clock) -> None:
    number = await delivered(ledger)
    before = await told(ledger, number)
    assert before[:5] == (0, 2, 1, 1, 1)
    clock.advance(KEPT_DAYS * 86_400)
    assert await thin_outbox(ledger.database) == 0
    clock.advance(1)
    assert await thin_outbox(ledger.database) == 3
    assert await told(ledger, number) == before
    assert kept(ledger) == [(3, "undeliverable"), (4, "failed")]
    assert await thin_outbox(ledger.database) == 0


async def test_message_that_was_queued_again_is_thinned_later(ledger: LedgerFixture, clock: Clock) -> None:
    number = await delivered(ledger)
    clock.advance(KEPT_DAYS * 86_400 + 1)
    await thin_outbox(ledger.database)
    await ledger.database.write(outbox.requeue, batch_number=number, user_id=None, actor="cli", now=clock())
    assert (await told(ledger, number))[:5] == (1, 2, 1, 0, 1)
    assert await thin_outbox(ledger.database) == 0
    [(waiting,)] = ledger.rows("SELECT id FROM cashback_notifications WHERE status = 'queued'")
    sent = outbox.Settled(notification_id=waiting, status=NotificationStatus.SENT, error=None, at=clock())
    await ledger.database.write(outbox.settle, [sent])
    assert await thin_outbox(ledger.database) == 1
    assert (await told(ledger, number))[:5] == (0, 3, 1, 0, 1)
    assert (await ledger.verify()).breaches == ()


async def test_a_few_rows_are_thinned_in_each_transaction(ledger: LedgerFixture, clock: Clock) -> None:
    await delivered(ledger)
    before = clock() + timedelta(seconds=1)
    thinned = [await ledger.database.write(outbox_thinning.thin, before=before, limit=1) for _ in range(4)]
    assert thinned == [1, 1, 1, 0]


async def test_messages_of_a_batch_that_is_not_finished_are_kept(ledger: LedgerFixture, clock: Clock) -> None:
    number = await delivered(ledger)
    ledger.honest = False
    with raw(ledger.location) as connection:
        connection.execute("DROP TRIGGER cashback_payout_batches_fixed")
        connection.execute("DROP TRIGGER cashback_payout_batches_move_as_declared")
        connection.execute(f"UPDATE cashback_payout_batches SET status = 'running' WHERE number = {number}")
    clock.advance(2 * KEPT_DAYS * 86_400)
    assert await thin_outbox(ledger.database) == 0


CHANGES = (
    "DELETE FROM cashback_notifications WHERE user_id = 4",
    "UPDATE cashback_outbox_counts SET messages = messages + 1 WHERE status = 'muted'",
    "DELETE FROM cashback_outbox_counts WHERE status = 'sent'",
)


@pytest.mark.parametrize("change", CHANGES)
async def test_verify_finds_a_missing_message_among_counts(ledger: LedgerFixture, clock: Clock, change: str) -> None:
    number = await delivered(ledger)
    clock.advance(KEPT_DAYS * 86_400 + 1)
    await thin_outbox(ledger.database)
    assert (await ledger.verify()).breaches == ()
    ledger.honest = False
    with raw(ledger.location) as connection:
        connection.execute(change)
    [breach] = (await ledger.verify()).breaches
    assert f"batch {number} credited 5 payouts, and has" in breach


async def test_running_bot_thins_by_itself(ledger: LedgerFixture, clock: Clock) -> None:
    await delivered(ledger)
    clock.advance(KEPT_DAYS * 86_400 + 1)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(OutboxThinning(ledger.database).run)
            while len(kept(ledger)) > 2:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
