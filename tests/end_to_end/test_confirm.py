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


async def test_two_quick_presses_are_one_batch(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
        presses: list[Interaction] = []

        async def press() -> None:
            presses.append(await town.press(summary, "Confirm"))

        async with anyio.create_task_group() as fingers:
            fingers.start_soon(press)
            fingers.start_soon(press)
        await town.shows(summary, COMPLETE, "Sent:** 1")
        await until(lambda: any(each.followups for each in presses))
        told = [note.text for each in presses for note in each.followups]
        assert len(told) == 1
        assert f"confirmed already by <@{town.admin.id}>" in told[0]
    assert town.till.balance(bob.id) == 2500
    assert len(town.sandbox.direct_messages(bob.id)) == 1


async def test_an_interaction_that_discord_sends_twice_is_acted_on_once(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
        town.sandbox.faults.duplicate_events("INTERACTION_CREATE")
        pressed = await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE, "Sent:** 1")
        assert (pressed.refused, pressed.followups) == (0, [])
    assert town.till.balance(bob.id) == 2500


async def test_two_admins_with_a_summary_each_pay_once(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    zoe = town.sandbox.add_member("Zoe", role_ids=[town.admin_role.id])
    async with town.bot():
        first, second = await town.ask(), await town.ask(by=zoe)
        await town.press(first, "Confirm")
        # Handlers run side by side: which of two presses at once comes first is chance.
        await until(lambda: town.batches()[0] not in {"proposed", "approved"})
        await town.press(second, "Confirm", by=zoe)
        await town.shows(first, COMPLETE, "Users Paid:** 1")
        await town.shows(second, COMPLETE, "Users Paid:** 0", "Skipped:** 1")
    assert town.till.balance(bob.id) == 2500


@pytest.mark.parametrize("label", ["Confirm", "Cancel"])
async def test_only_the_issuer_may_press(town: DiscordFixture, label: str) -> None:
    await town.referrer("Bob", 2500)
    zoe = town.sandbox.add_member("Zoe", role_ids=[town.admin_role.id])
    eve = town.sandbox.add_member("Eve")
    async with town.bot():
        summary = await town.ask()
        assert f"Only <@{town.admin.id}>" in await refusal(await town.press(summary, label, by=zoe))
        assert "Only an admin" in await refusal(await town.press(summary, label, by=eve))
        assert not any(each.disabled for each in summary.buttons)
    assert town.batches() == ["proposed"]
    assert town.audit_actions() == ["batch_proposed", "refused", "refused"]


async def test_issuer_without_the_role_is_refused(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
        town.sandbox.set_roles(town.admin, [])
        assert "Only an admin" in await refusal(await town.press(summary, "Confirm"))
    assert town.batches() == ["proposed"]
    assert town.audit_actions() == ["batch_proposed", "refused"]


async def test_cancel_ends_it(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Cancel")
        await town.shows(summary, "cancelled", "Nothing was paid")
        assert [each.disabled for each in summary.buttons] == [True, True]
    assert town.batches() == ["cancelled"]
    assert town.audit_actions() == ["batch_proposed", "batch_cancelled"]


@pytest.mark.parametrize("label", ["Confirm", "Cancel"])
async def test_buttons_work_after_a_restart(town: DiscordFixture, label: str) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
    async with town.bot():
        await town.press(summary, label)
        await town.shows(summary, COMPLETE if label == "Confirm" else "cancelled")
    assert town.till.balance(bob.id) == (2500 if label == "Confirm" else 0)


async def test_a_summary_expires_by_itself(town: DiscordFixture, open_database: OpenDatabase) -> None:
    await town.referrer("Bob", 2500)
    town.adjust(confirm_seconds=1)
    async with Database(open_database().path) as database, town.bot(database):
        summary = await town.ask()
        await town.shows(summary, "This summary expired")
        assert [each.disabled for each in summary.buttons] == [True, True]
    assert town.batches() == ["expired"]


async def expired(town: DiscordFixture) -> Message:
    """Make a summary that has expired but still shows its buttons."""
    await town.referrer("Bob", 2500)
    summary = await town.ask()
    town.clock.advance(121)
    return summary


async def test_press_after_the_deadline_is_refused(town: DiscordFixture) -> None:
    async with town.bot():
        hold = town.sandbox.faults.hold("PATCH", "/messages/[0-9]+$")
        summary = await expired(town)
        assert "expired" in await refusal(await town.press(summary, "Confirm"))
        hold.release()
        await town.shows(summary, "This summary expired")
    assert town.batches() == ["expired"]


async def test_summary_that_expired_during_downtime_shows_it_at_the_start(town: DiscordFixture) -> None:
    async with town.bot():
        summary = await expired(town)
    async with town.bot():
        await town.shows(summary, "This summary expired")


async def test_a_bot_that_died_before_it_noted_its_summary_knows_it_by_the_press(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Cancel", by=town.sandbox.add_member("Eve"))
    with raw(town.till.path) as connection:
        connection.execute("DELETE FROM cashback_announcements")
    async with town.bot():
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE)


async def test_the_button_of_another_ledgers_time_does_nothing(town: DiscordFixture) -> None:
    """A new file starts its batch numbers at 1, but an old message still carries numbers of the old file."""
    await town.referrer("Bob", 2500)
    async with town.bot():
        old, new = await town.ask(), await town.ask()
        await until(lambda: len(town.till.rows("SELECT 1 FROM cashback_announcements")) == 2)
        with raw(town.till.path) as connection:
            connection.execute("DELETE FROM cashback_announcements WHERE batch_number = 1")
            connection.execute("UPDATE cashback_announcements SET batch_number = 1")
        assert "no longer shows its batch" in await refusal(await town.press(old, "Confirm"))
        await town.sandbox.click(new.id, button(new, "Cancel"), town.admin.id)
        await town.shows(new, "cancelled")
    assert "approved" not in town.batches()
    assert "completed" not in town.batches()
