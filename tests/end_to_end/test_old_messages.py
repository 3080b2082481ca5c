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


def state(ledger: LedgerFixture) -> dict[str, object]:
    """Read all that a press could change."""
    return {**ledger.money(), **{name: ledger.rows(query) for name, query in STATE.items()}}


def take_token(message: Message, label: str) -> None:
    """Make a message's button one of an earlier version: its custom id had no token."""
    pressed = button(message, label)
    [part] = [each for each in message.parts() if each.get("custom_id") == pressed]
    part["custom_id"] = pressed.rsplit(":", 1)[0]


async def test_confirm_of_a_trials_message_does_nothing_in_the_live_ledger(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with Database(tmp_path / "trial.db", clock=guild.clock) as database:
        await LedgerFixture(database, guild.clock).earn(bob.id, 100)
        async with guild.bot(database):
            trials = await guild.ask()
    await guild.ledger.earn(bob.id, 999_900)
    # No message shows this batch yet: the one that is pressed must not become its message.
    await guild.ledger.propose(actor=str(guild.admin.id))
    before = state(guild.ledger)
    async with guild.bot():
        for label in ("Confirm", "Cancel"):
            assert "Only an admin" in await refusal(await guild.press(trials, label, by=eve))
            assert "nothing was done" in await refusal(await guild.press(trials, label))
        take_token(trials, "Confirm")
        assert "Only an admin" in await refusal(await guild.press(trials, "Confirm", by=eve))
        assert "nothing was done" in await refusal(await guild.press(trials, "Confirm"))
    assert state(guild.ledger) == before


async def test_approve_of_a_message_from_before_a_restore_does_nothing(guild: DiscordFixture, tmp_path: Path) -> None:
    guild.adjust(approval_threshold_cents=100_000)
    zoe, eve = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id]), guild.sandbox.add_member("Eve")
    bob = await guild.referrer("Bob", 150_000)
    backup = tmp_path / "restored.db"
    with raw(guild.ledger.path) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))

    async def first_approved() -> Message:
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        return await guild.shows(summary, "another admin must approve it before")

    async with guild.bot():
        old = await first_approved()
    async with Database(backup, clock=guild.clock) as database:
        restored = LedgerFixture(database, guild.clock)
        restored._orders = restored._buyers = 10**6
        await restored.earn(bob.id, 900_000)
        async with guild.bot(database):
            new = await first_approved()
            before = state(restored)
            assert "Only an admin" in await refusal(await guild.press(old, "Approve", by=eve))
            assert "nothing was done" in await refusal(await guild.press(old, "Approve", by=zoe))
            assert "nothing was done" in await refusal(await guild.press(old, "Cancel", by=zoe))
            assert state(restored) == before
            await guild.press(new, "Approve", by=zoe)
            await guild.shows(new, COMPLETE, "Users Paid:** 1")
        assert restored.balance(bob.id) == 1_050_000


async def reversal_asked(guild: DiscordFixture, ledger: LedgerFixture) -> Message:
    """Pay a batch, and ask for its reversal."""
    summary = await guild.ask()
    await guild.press(summary, "Confirm")
    await guild.shows(summary, COMPLETE, "Users Paid:** 1")
    [(batch_id,)] = ledger.rows("SELECT batch_id FROM cashback_payout_batches")
    return await guild.answer(f"!sendref-cashb reverse-batch {batch_id} a mistake")


async def test_reversal_buttons_of_another_ledger_or_an_earlier_version_do_nothing(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with Database(tmp_path / "trial.db", clock=guild.clock) as database:
        trial = LedgerFixture(database, guild.clock)
        await trial.earn(bob.id, 100)
        async with guild.bot(database):
            trials = await reversal_asked(guild, trial)
    await guild.ledger.earn(bob.id, 999_900)
    async with guild.bot():
        live = await reversal_asked(guild, guild.ledger)
        # The payout's summary, its audit entry and its direct message: each is recorded a moment after it has come.
        await until(lambda: len([1 for _, message_id in guild.ledger.rows(STATE["messages"]) if message_id]) == 2)
        await until(lambda: guild.ledger.rows("SELECT status FROM cashback_notifications") == [("sent",)])
        before = state(guild.ledger)
        for label in ("Confirm", "Cancel"):
            take_token(live, label)
            for message in (trials, live):
                assert "Only an admin" in await refusal(await guild.press(message, label, by=eve))
                refused = await refusal(await guild.press(message, label))
                assert refused.startswith("❌")
                assert "nothing was done" in refused
                assert "\n" not in refused
        assert state(guild.ledger) == before
    assert guild.ledger.balance(bob.id) == 999_900
