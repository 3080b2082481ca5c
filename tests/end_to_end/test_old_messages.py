"""Buttons of another ledger, of a time before a restore, and of earlier versions: they decide nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cashback.database import Database
from sandbox import Message
from tests.conftest import LedgerFixture, raw
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, button, until
from tests.end_to_end.test_second_admin import refusal

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS
STATE = {
    "batches": "SELECT number, status, first_approved_by, approved_by FROM cashback_payout_batches ORDER BY 1",
    "reversals": "SELECT number, status, first_approved_by, approved_by FROM cashback_reversals ORDER BY 1",
    "messages": "SELECT batch_number, message_id FROM cashback_announcements ORDER BY 1, 2",
}


def state(till: LedgerFixture) -> dict[str, object]:
    """Read all that a press could change."""
    return {**till.money(), **{name: till.rows(query) for name, query in STATE.items()}}


def take_token(message: Message, label: str) -> None:
    """Make a message's button one of an earlier version: its custom id had no token."""
    pressed = button(message, label)
    [part] = [each for each in message.parts() if each.get("custom_id") == pressed]
    part["custom_id"] = pressed.rsplit(":", 1)[0]


async def test_confirm_of_a_trials_message_does_nothing_in_the_live_ledger(
    town: DiscordFixture, tmp_path: Path
) -> None:
    bob, eve = town.sandbox.add_member("Bob"), town.sandbox.add_member("Eve")
    async with Database(tmp_path / "trial.db", clock=town.clock) as database:
        await LedgerFixture(database, town.clock).earn(bob.id, 100)
        async with town.bot(database):
            trials = await town.ask()
    await town.till.earn(bob.id, 999_900)
    # No message shows this batch yet: the one that is pressed must not become its message.
    await town.till.propose(actor=str(town.admin.id))
    before = state(town.till)
    async with town.bot():
        for label in ("Confirm", "Cancel"):
            assert "Only an admin" in await refusal(await town.press(trials, label, by=eve))
            assert "nothing was done" in await refusal(await town.press(trials, label))
        take_token(trials, "Confirm")
        assert "Only an admin" in await refusal(await town.press(trials, "Confirm", by=eve))
        assert "nothing was done" in await refusal(await town.press(trials, "Confirm"))
    assert state(town.till) == before


async def test_approve_of_a_message_from_before_a_restore_does_nothing(town: DiscordFixture, tmp_path: Path) -> None:
    town.adjust(approval_threshold_cents=100_000)
    zoe, eve = town.sandbox.add_member("Zoe", role_ids=[town.admin_role.id]), town.sandbox.add_member("Eve")
    bob = await town.referrer("Bob", 150_000)
    backup = tmp_path / "restored.db"
    with raw(town.till.path) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))

    async def first_approved() -> Message:
        summary = await town.ask()
        await town.press(summary, "Confirm")
        return await town.shows(summary, "another admin must approve it before")

    async with town.bot():
        old = await first_approved()
    async with Database(backup, clock=town.clock) as database:
        restored = LedgerFixture(database, town.clock)
        restored._orders = restored._buyers = 10**6
        await restored.earn(bob.id, 900_000)
        async with town.bot(database):
            new = await first_approved()
            before = state(restored)
            assert "Only an admin" in await refusal(await town.press(old, "Approve", by=eve))
            assert "nothing was done" in await refusal(await town.press(old, "Approve", by=zoe))
            assert "nothing was done" in await refusal(await town.press(old, "Cancel", by=zoe))
            assert state(restored) == before
            await town.press(new, "Approve", by=zoe)
            await town.shows(new, COMPLETE, "Users Paid:** 1")
        assert restored.balance(bob.id) == 1_050_000


async def reversal_asked(town: DiscordFixture, till: LedgerFixture) -> Message:
    """Pay a batch, and ask for its reversal."""
    summary = await town.ask()
    await town.press(summary, "Confirm")
    await town.shows(summary, COMPLETE, "Users Paid:** 1")
    [(batch_id,)] = till.rows("SELECT batch_id FROM cashback_payout_batches")
    return await town.answer(f"!sendref-cashb reverse-batch {batch_id} a mistake")


async def test_reversal_buttons_of_another_ledger_or_an_earlier_version_do_nothing(
    town: DiscordFixture, tmp_path: Path
) -> None:
    bob, eve = town.sandbox.add_member("Bob"), town.sandbox.add_member("Eve")
    async with Database(tmp_path / "trial.db", clock=town.clock) as database:
        trial = LedgerFixture(database, town.clock)
        await trial.earn(bob.id, 100)
        async with town.bot(database):
            trials = await reversal_asked(town, trial)
    await town.till.earn(bob.id, 999_900)
    async with town.bot():
        live = await reversal_asked(town, town.till)
        # The message is recorded a moment after it has come.
        await until(lambda: all(message_id for _, message_id in town.till.rows(STATE["messages"])))
        before = state(town.till)
        for label in ("Confirm", "Cancel"):
            take_token(live, label)
            for message in (trials, live):
                assert "Only an admin" in await refusal(await town.press(message, label, by=eve))
                refused = await refusal(await town.press(message, label))
                assert refused.startswith("❌")
                assert "nothing was done" in refused
                assert "\n" not in refused
        assert state(town.till) == before
    assert town.till.balance(bob.id) == 999_900
