"""The weekly batch on Discord: its commands, the notice with its button, and slots that made no batch."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from cashback.cogs.buttons.skip_slot import UNDO
from cashback.cogs.buttons.undo import RESUME
from sandbox import Message
from tests.conftest import FRIDAY
from tests.end_to_end.conftest import (
    BOTH_BOTS,
    OWN_BOT,
    DiscordFixture,
    break_ledger,
    field,
    mend_ledger,
    saying,
    titled,
    until,
)
from tests.frozen import FrozenTime

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

WEEK = timedelta(weeks=1)
NEXT = FRIDAY + WEEK
NOTICE = "🗓️ Upcoming Weekly Cashback Batch"
NO_BATCH = "🗓️ No Weekly Cashback Batch"
DAY = timedelta(days=1)


@pytest.fixture
def guild(frozen_guild: DiscordFixture) -> DiscordFixture:
    """Switch the weekly batch on."""
    frozen_guild.adjust(auto_batch_enabled=True)
    return frozen_guild


def stamp(moment: datetime) -> str:
    """Write a moment as Discord shows it, with its countdown."""
    seconds = int(moment.timestamp())
    return f"<t:{seconds}:F> (<t:{seconds}:R>)"


def noted(guild: DiscordFixture, action: str) -> list[tuple[str, object]]:
    """Return the actors of an action, with the reasons in the audit log."""
    found = guild.ledger.rows("SELECT actor, details FROM cashback_audit_log WHERE action = ? ORDER BY id", action)
    return [(actor, json.loads(details).get("reason")) for actor, details in found]


def posts(guild: DiscordFixture, title: str) -> list[Message]:
    """List what the audit channel shows under a title."""
    return [message for message in guild.sandbox.messages(guild.audit.id) if message.embed.get("title") == title]


async def day_before(guild: DiscordFixture, frozen_time: FrozenTime) -> Message:
    """Let the bot start, and come to the day before the slot; return the notice."""
    await frozen_time.run(minutes=1)
    await frozen_time.jump_to(NEXT - DAY)
    await frozen_time.run(minutes=1)
    return await guild.sandbox.wait_for(titled(NOTICE))


async def test_the_schedule_shows_its_next_run_and_what_it_would_pay(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    await guild.referrer("Eve", 1000)
    async with guild.bot():
        shown = await guild.answer("!sendref-cashb schedule")
        assert field(shown, "⏰ Next Run") == f"{stamp(NEXT)}\nEvery Friday 15:00 UTC"
        assert field(shown, "💰 Would Pay Now") == "**$35.00** to 2 users"
        asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb schedule show")
        answer = await asked.replied()
        assert answer is not None
        assert answer.embed == shown.embed
    guild.adjust(max_users_per_batch=1)
    async with guild.bot():
        limited = await guild.answer("!sendref-cashb schedule")
        assert field(limited, "💰 Would Pay Now") == "**$25.00** to 1 user"
        assert field(limited, "🚧 Excluded") == "Over the limit of members in a batch: 1 member, $10.00"


async def test_pause_skip_and_resume_survive_a_restart_with_actor_and_reason(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    admin = f"discord:{guild.admin.id}"
    async with guild.bot():
        skipped = await guild.answer("!sendref-cashb schedule skip audit week")
        assert stamp(NEXT) in skipped.text
        assert field(skipped, "⏰ Next Run").startswith(stamp(NEXT + WEEK))
        assert f"⏸️ skipped by <@{guild.admin.id}>: audit week" in field(skipped, "🧾 Last Slots")
        undone = await guild.answer("!sendref-cashb schedule unskip")
        assert field(undone, "⏰ Next Run").startswith(stamp(NEXT))
        assert "No coming slot is skipped" in (await guild.answer("!sendref-cashb schedule unskip")).text
        await guild.answer("!sendref-cashb schedule skip audit week")
        paused = await guild.answer("!sendref-cashb schedule pause counting *the* stock")
        assert field(paused, "⏸️ Paused").startswith(rf"by <@{guild.admin.id}>: counting \*the\* stock")
        again = await guild.answer("!sendref-cashb schedule pause")
        assert f"already paused, by <@{guild.admin.id}>: counting" in again.text
    async with guild.bot():
        assert "⏸️ Paused" in (await guild.answer("!sendref-cashb schedule")).text
        asked = await guild.sandbox.slash(
            guild.channel.id, guild.admin.id, "sendref-cashb schedule resume", {"reason": "counted"}
        )
        answer = await asked.replied()
        assert answer is not None
        assert "⏸️ Paused" not in answer.text
        assert "not paused" in (await guild.answer("!sendref-cashb schedule resume")).text
    assert noted(guild, "slot_skipped") == [(admin, "audit week"), (admin, "audit week")]
    assert noted(guild, "slot_unskipped") == [(admin, None)]
    assert noted(guild, "schedule_paused") == [(admin, "counting *the* stock")]
    assert noted(guild, "schedule_resumed") == [(admin, "counted")]


@pytest.mark.parametrize("words", ["", " pause", " resume", " skip", " reload"])
async def test_non_admin_is_refused_and_audited(guild: DiscordFixture, words: str) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        assert "Only an admin may do this." in (await guild.answer(f"!sendref-cashb schedule{words}", by=bob)).text
        # The answer may come before the paying process has put the schedule in force.
        await until(lambda: guild.ledger.rows("SELECT 1 FROM cashback_schedule_state"))
    assert [actor for actor, _ in noted(guild, "refused")] == [f"discord:{bob.id}"]
    assert guild.ledger.rows("SELECT paused_by FROM cashback_schedule_state") == [(None,)]
    assert guild.ledger.rows("SELECT 1 FROM cashback_schedule_slots") == []


async def test_a_reason_without_end_is_refused(guild: DiscordFixture) -> None:
    async with guild.bot():
        assert "at most 200" in (await guild.answer(f"!sendref-cashb schedule pause {'x' * 201}")).text
    assert noted(guild, "schedule_paused") == []


async def test_a_reload_puts_the_changed_configuration_in_force_while_the_bot_runs(
    guild: DiscordFixture, frozen_time: FrozenTime
) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        await guild.answer("!sendref-cashb schedule")
        guild.adjust(batch_day="monday", batch_hour_utc=9, notice_hours=0)
        monday = datetime.fromisoformat("2026-07-06T09:00:00+00:00")
        shown = await guild.answer("!sendref-cashb schedule reload")
        assert field(shown, "⏰ Next Run") == f"{stamp(monday)}\nEvery Monday 09:00 UTC"
        await frozen_time.run(minutes=2)
        await frozen_time.jump_to(monday - timedelta(seconds=1))
        assert guild.ledger.balance(bob.id) == 0
        await frozen_time.run(seconds=30)
        assert guild.ledger.balance(bob.id) == 2500


async def test_the_notice_is_posted_once_a_day_ahead_also_over_a_restart(
    guild: DiscordFixture, frozen_time: FrozenTime
) -> None:
    people = [await guild.referrer(f"Member {number}", 1000 + number) for number in range(5)]
    async with guild.bot():
        await frozen_time.run(minutes=1)
        await frozen_time.jump_to(NEXT - DAY - timedelta(seconds=1))
        assert posts(guild, NOTICE) == []
        await frozen_time.run(minutes=1)
        [notice] = posts(guild, NOTICE)
        assert stamp(NEXT) in notice.text
        assert field(notice, "📊 So Far") == "**Users:** 5\n**Total:** $50.10"
        top = field(notice, "🏆 Top Payouts").splitlines()
        assert top[0] == f"1. <@{people[4].id}> - $10.04 (1 referral)"
        assert len(top) == 3
        await frozen_time.run(minutes=5)
    async with guild.bot():
        await frozen_time.run(minutes=5)
        assert len(posts(guild, NOTICE)) == 1
        await frozen_time.jump_to(NEXT)
        await frozen_time.run(minutes=2)
        closed = await guild.shows(notice, "✅ paid as `BATCH-20260710-150000`")
        assert all(each.disabled for each in closed.buttons)
    assert guild.batches() == ["completed"]


async def test_skip_button_skips_the_slot_for_admins_only(guild: DiscordFixture, frozen_time: FrozenTime) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        notice = await day_before(guild, frozen_time)
        refused = await guild.press(notice, "Skip this week", by=bob)
        await frozen_time.run_until(lambda: refused.followups, seconds=30)
        [told] = refused.followups
        assert (told.ephemeral_to, "Only an admin may do this." in told.text) == (bob.id, True)
        assert guild.ledger.rows("SELECT 1 FROM cashback_schedule_slots") == []
    async with guild.bot():
        await frozen_time.run(minutes=1)
        # Which of two presses at once comes first is not known.
        presses = [await guild.press(notice, "Skip this week") for _ in range(2)]
        await frozen_time.run_until(lambda: presses[0].followups or presses[1].followups, seconds=30)
        [told] = [answer for press in presses for answer in press.followups]
        assert f"skipped by <@{guild.admin.id}> already" in told.text
        await frozen_time.run(minutes=1)
        shown = await guild.shows(notice, f"⏸️ skipped by <@{guild.admin.id}>")
        assert [(each.label, each.disabled) for each in shown.buttons] == [(UNDO, False)]
        told = await guild.sandbox.wait_for(titled(NO_BATCH))
        assert told.channel_id == guild.audit.id
        await frozen_time.jump_to(NEXT + timedelta(hours=1))
        await frozen_time.run(minutes=2)
    assert guild.batches() == []
    assert noted(guild, "slot_skipped") == [(f"discord:{guild.admin.id}", "skipped from the notice")]
    assert len(posts(guild, NO_BATCH)) == 1


async def test_undo_under_the_skipped_notice_pays_the_slot_and_is_for_admins_only(
    guild: DiscordFixture, frozen_time: FrozenTime
) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        notice = await day_before(guild, frozen_time)
        await guild.press(notice, "Skip this week")
        await frozen_time.run(minutes=1)
        skipped = await guild.shows(notice, "⏸️ skipped")
        refused = await guild.press(skipped, UNDO, by=bob)
        assert (await refused.answered()).ephemeral
        await guild.press(skipped, UNDO)
        await frozen_time.run(minutes=1)
        shown = await guild.shows(notice, "Upcoming Weekly Cashback Batch")
        assert [(each.label, each.disabled) for each in shown.buttons] == [("Skip this week", False)]
        assert len(posts(guild, NOTICE)) == 1
        await frozen_time.jump_to(NEXT)
        await frozen_time.run(minutes=2)
    assert guild.ledger.balance(bob.id) == 2500
    assert noted(guild, "slot_unskipped") == [(f"discord:{guild.admin.id}", "undone with the button")]


async def test_undo_under_a_pause_resumes_and_is_for_admins_only(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        paused = await guild.answer("!sendref-cashb schedule pause counting")
        assert (
            field(paused, "⏰ Next Run")
            == f"none while it is paused; once resumed: {stamp(NEXT)}\nEvery Friday 15:00 UTC"
        )
        refused = await guild.press(paused, RESUME, by=bob)
        await refused.replied()
        assert [(told.ephemeral_to, "Only an admin may" in told.text) for told in refused.followups] == [(bob.id, True)]
        assert noted(guild, "schedule_resumed") == []
        await guild.press(paused, RESUME)
        shown = await guild.shows(paused, "The schedule is resumed.")
        assert [(each.label, each.disabled) for each in shown.buttons] == [(RESUME, True)]
        assert "⏸️ Paused" not in shown.text
        assert field(shown, "⏰ Next Run").startswith(stamp(NEXT))
    assert noted(guild, "schedule_resumed") == [(f"discord:{guild.admin.id}", "undone with the button")]


async def test_undo_of_a_pause_that_has_ended_changes_nothing(guild: DiscordFixture) -> None:
    async with guild.bot():
        paused = await guild.answer("!sendref-cashb schedule pause counting")
        await guild.answer("!sendref-cashb schedule resume")
        pressed = await guild.press(paused, RESUME)
        await pressed.replied()
        assert ["not paused" in told.text for told in pressed.followups] == [True]
    assert len(noted(guild, "schedule_resumed")) == 1


async def test_undo_of_an_earlier_pause_leaves_a_later_one(guild: DiscordFixture, frozen_time: FrozenTime) -> None:
    async with guild.bot():
        paused = await guild.answer("!sendref-cashb schedule pause counting")
        await guild.answer("!sendref-cashb schedule resume")
        await frozen_time.run(minutes=1)
        await guild.answer("!sendref-cashb schedule pause fraud")
        pressed = await guild.press(paused, RESUME)
        await pressed.replied()
        assert ["was paused again" in told.text and "fraud" in told.text for told in pressed.followups] == [True]
    assert len(noted(guild, "schedule_resumed")) == 1


@pytest.mark.parametrize("prevented_by", ["pause", "skip", "off"])
async def test_no_notice_for_a_slot_that_pays_nothing(
    guild: DiscordFixture, frozen_time: FrozenTime, prevented_by: str
) -> None:
    await guild.referrer("Bob", 2500)
    if prevented_by == "off":
        guild.adjust(notice_hours=0)
    async with guild.bot():
        if prevented_by != "off":
            await guild.answer(f"!sendref-cashb schedule {prevented_by}")
        await frozen_time.run(minutes=1)
        await frozen_time.jump_to(NEXT - timedelta(hours=1))
        await frozen_time.run(minutes=3)
        assert posts(guild, NOTICE) == []


# Whether a host waits for a Discord that cannot be reached when it logs in is its own matter.
@pytest.mark.parametrize("inside", [OWN_BOT])
async def test_five_weeks_of_downtime_make_one_batch_and_report_the_missed_slots(
    guild: DiscordFixture, frozen_time: FrozenTime
) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        await frozen_time.run(minutes=1)
    await frozen_time.jump_to(FRIDAY + 5 * WEEK + timedelta(hours=2))
    guild.sandbox.faults.fail("GET", "/users/@me$", status=503, times=3)
    async with guild.bot(connected=False):
        await frozen_time.run_until(lambda: "completed" in guild.batches(), seconds=30)
        assert posts(guild, NO_BATCH) == []
        await frozen_time.run(minutes=2)
        missed = [message.text for message in posts(guild, NO_BATCH)]
        assert len(missed) == 4
        assert all("❌ missed" in text for text in missed)
        await guild.audit_entry("$25.00")
    assert guild.batches() == ["completed"]
    assert guild.ledger.balance(bob.id) == 2500


async def test_interrupted_weekly_batch_is_reported_in_the_audit_channel(
    guild: DiscordFixture, frozen_time: FrozenTime
) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        await frozen_time.run(minutes=1)
        break_ledger(guild)
        await frozen_time.jump_to(NEXT)
        await frozen_time.run(seconds=20)
        told = await guild.sandbox.wait_for(saying("stopped", "tried again soon"))
        assert told.channel_id == guild.audit.id
        mend_ledger(guild)
        await frozen_time.run(minutes=2)
        assert guild.batches() == ["completed"]
    assert guild.ledger.balance(bob.id) == 2500


async def test_a_slot_waits_for_the_batch_that_still_runs(guild: DiscordFixture, frozen_time: FrozenTime) -> None:
    people = [guild.sandbox.add_member(f"Member {number}").id for number in range(25)]
    await guild.ledger.earn_all((person, 100) for person in people)
    guild.adjust(chunk_size=1, notice_hours=0)
    async with guild.bot():
        await frozen_time.run(minutes=1)
        summary = await guild.ask()
        await frozen_time.jump_to(NEXT - timedelta(seconds=1))
        summary = await guild.ask()
        await guild.ledger.earn(people[0], 55)
        await guild.press(summary, "Confirm")
        await frozen_time.run(seconds=30)
        await frozen_time.run_until(lambda: guild.batches()[1:] == ["completed", "completed"], minutes=5)
    assert guild.ledger.balance(people[0]) == 155
    assert {guild.ledger.balance(person) for person in people[1:]} == {100}
