"""Confirm and Cancel: authorization, deadline, and one batch however often they are pressed."""

from __future__ import annotations

import anyio
import pytest

from cashback.database import Database
from sandbox import Interaction, Message
from tests.conftest import OpenDatabase, raw
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, button, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def refusal(interaction: Interaction) -> str:
    """Return the private answer to a press."""
    await interaction.answered()
    await until(lambda: interaction.followups)
    note = interaction.followups[0]
    assert note.ephemeral_to == interaction.member_id
    return note.text


async def test_two_quick_presses_are_one_batch(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        presses: list[Interaction] = []

        async def press() -> None:
            presses.append(await guild.press(summary, "Confirm"))

        async with anyio.create_task_group() as fingers:
            fingers.start_soon(press)
            fingers.start_soon(press)
        await guild.shows(summary, COMPLETE, "Sent:** 1")
        await until(lambda: any(each.followups for each in presses))
        told = [note.text for each in presses for note in each.followups]
        assert len(told) == 1
        assert f"confirmed already by <@{guild.admin.id}>" in told[0]
    assert guild.ledger.balance(bob.id) == 2500
    assert len(guild.sandbox.direct_messages(bob.id)) == 1


async def test_an_interaction_that_discord_sends_twice_is_acted_on_once(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        guild.sandbox.faults.duplicate_events("INTERACTION_CREATE")
        pressed = await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Sent:** 1")
        assert (pressed.refused, pressed.followups) == (0, [])
    assert guild.ledger.balance(bob.id) == 2500


async def test_two_admins_with_a_summary_each_pay_once(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    async with guild.bot():
        first, second = await guild.ask(), await guild.ask(by=zoe)
        await guild.press(first, "Confirm")
        # Handlers run side by side: which of two presses at once comes first is chance.
        await until(lambda: guild.batches()[0] not in {"proposed", "approved"})
        await guild.press(second, "Confirm", by=zoe)
        await guild.shows(first, COMPLETE, "Users Paid:** 1")
        await guild.shows(second, COMPLETE, "Users Paid:** 0", "Skipped:** 1")
    assert guild.ledger.balance(bob.id) == 2500


@pytest.mark.parametrize("label", ["Confirm", "Cancel"])
async def test_only_the_issuer_may_press(guild: DiscordFixture, label: str) -> None:
    await guild.referrer("Bob", 2500)
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        summary = await guild.ask()
        assert f"Only <@{guild.admin.id}>" in await refusal(await guild.press(summary, label, by=zoe))
        assert "Only an admin" in await refusal(await guild.press(summary, label, by=eve))
        assert not any(each.disabled for each in summary.buttons)
    assert guild.batches() == ["proposed"]
    assert guild.audit_actions() == ["batch_proposed", "refused", "refused"]


async def test_issuer_without_the_role_is_refused(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        guild.sandbox.set_roles(guild.admin, [])
        assert "Only an admin" in await refusal(await guild.press(summary, "Confirm"))
    assert guild.batches() == ["proposed"]
    assert guild.audit_actions() == ["batch_proposed", "refused"]


async def test_cancel_ends_it(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Cancel")
        await guild.shows(summary, "cancelled", "Nothing was paid")
        assert [each.disabled for each in summary.buttons] == [True, True]
    assert guild.batches() == ["cancelled"]
    assert guild.audit_actions() == ["batch_proposed", "batch_cancelled"]


@pytest.mark.parametrize("label", ["Confirm", "Cancel"])
async def test_buttons_work_after_a_restart(guild: DiscordFixture, label: str) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
    async with guild.bot():
        await guild.press(summary, label)
        await guild.shows(summary, COMPLETE if label == "Confirm" else "cancelled")
    assert guild.ledger.balance(bob.id) == (2500 if label == "Confirm" else 0)


async def test_a_summary_expires_by_itself(guild: DiscordFixture, open_database: OpenDatabase) -> None:
    await guild.referrer("Bob", 2500)
    guild.adjust(confirm_seconds=1)
    async with Database(open_database().path) as database, guild.bot(database):
        summary = await guild.ask()
        await guild.shows(summary, "This summary expired")
        assert [each.disabled for each in summary.buttons] == [True, True]
    assert guild.batches() == ["expired"]


async def expired(guild: DiscordFixture) -> Message:
    """Make a summary that has expired but still shows its buttons."""
    await guild.referrer("Bob", 2500)
    summary = await guild.ask()
    guild.clock.advance(121)
    return summary


async def test_press_after_the_deadline_is_refused(guild: DiscordFixture) -> None:
    async with guild.bot():
        hold = guild.sandbox.faults.hold("PATCH", "/messages/[0-9]+$")
        summary = await expired(guild)
        assert "expired" in await refusal(await guild.press(summary, "Confirm"))
        hold.release()
        await guild.shows(summary, "This summary expired")
    assert guild.batches() == ["expired"]


async def test_summary_that_expired_during_downtime_shows_it_at_the_start(guild: DiscordFixture) -> None:
    async with guild.bot():
        summary = await expired(guild)
    async with guild.bot():
        await guild.shows(summary, "This summary expired")


async def test_a_bot_that_died_before_it_noted_its_summary_knows_it_by_the_press(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Cancel", by=guild.sandbox.add_member("Eve"))
    with raw(guild.ledger.path) as connection:
        connection.execute("DELETE FROM cashback_announcements")
    async with guild.bot():
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)


async def test_the_button_of_another_ledgers_time_does_nothing(guild: DiscordFixture) -> None:
    """A new file starts its batch numbers at 1, but an old message still carries numbers of the old file."""
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        old, new = await guild.ask(), await guild.ask()
        await until(lambda: len(guild.ledger.rows("SELECT 1 FROM cashback_announcements")) == 2)
        with raw(guild.ledger.path) as connection:
            connection.execute("DELETE FROM cashback_announcements WHERE batch_number = 1")
            connection.execute("UPDATE cashback_announcements SET batch_number = 1")
        assert "no longer shows its batch" in await refusal(await guild.press(old, "Confirm"))
        await guild.sandbox.click(new.id, button(new, "Cancel"), guild.admin.id)
        await guild.shows(new, "cancelled")
    assert "approved" not in guild.batches()
    assert "completed" not in guild.batches()
