"""What the channels show during a batch, at its end, and after failures in between."""

from __future__ import annotations

import re

import anyio
import pytest

from cashback.settings import LoggingChannels
from sandbox import Message
from tests.conftest import raw
from tests.end_to_end.conftest import (
    BOTH_BOTS,
    COMPLETE,
    PROCESSED,
    DiscordFixture,
    break_ledger,
    field,
    mend_ledger,
    titled,
    until,
)

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

CLOSED = "SELECT 1 FROM cashback_announcements WHERE kind = 'summary' AND is_final = 1"
WEEK_SECONDS = 7 * 24 * 3600


def refuse_payouts(guild: DiscordFixture, condition: str = "1") -> None:
    """Make the ledger refuse the wallet transactions that match the condition, with markup in the reason."""
    with raw(guild.ledger.path) as connection:
        connection.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'the *bank* is closed @everyone'); END"
        )


async def crowd(guild: DiscordFixture, count: int) -> list[int]:
    """Add this many referrers with a dollar pending each."""
    people = [guild.sandbox.add_member(f"Member {n}").id for n in range(count)]
    for person in people:
        guild.sandbox.faults.close_dms(person)
    await guild.ledger.earn_all((person, 100) for person in people)
    return people


def audit_posts(guild: DiscordFixture) -> list[Message]:
    """List the audit channel's entries."""
    return [each for each in guild.sandbox.messages(guild.audit.id) if each.embed.get("title") == PROCESSED]


async def test_a_batch_that_lasts_shows_its_progress(guild: DiscordFixture) -> None:
    await crowd(guild, 150)
    guild.adjust(chunk_size=1, progress_seconds=0.05, dm_per_second=1000)
    async with guild.bot():
        summary = await guild.ask()
        seen: set[int] = set()

        def is_underway(message: Message) -> bool:
            found = re.search(r"Users Paid:\*\* (\d+) of 150", message.text)
            if message.id == summary.id and found:
                seen.add(int(found[1]))
            return len([paid for paid in seen if 0 < paid < 150]) >= 2

        await guild.press(summary, "Confirm")
        await guild.sandbox.wait_for(is_underway, 10)
        await guild.shows(summary, COMPLETE, "Users Paid:** 150", seconds=20)
        # Result, audit and progress go through the bot's own token: an interaction's lives for minutes.
        edits = [each.path for each in guild.sandbox.requests if each.method == "PATCH"]
        assert edits
        assert not [path for path in edits if "webhooks" in path]


async def test_failures_are_listed_with_their_reasons(guild: DiscordFixture) -> None:
    bob, _ = await guild.referrer("Bob", 2500), await guild.referrer("Eve", 1000)
    refuse_payouts(guild, f"NEW.user_discord_id = {bob.id}")
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        done = await guild.shows(summary, COMPLETE, "Failed:** 1", "Users Paid:** 1")
        line = field(done, "⚠️ Failed Payouts")
        assert line.startswith(f"<@{bob.id}> - $25.00: ")
        assert r"the \*bank\* is closed" in line
        assert "@everyone" not in line
        assert done.attachments == []
        assert field(await guild.audit_entry(), "Failed") == "1"


async def test_failures_that_do_not_fit_are_in_a_file(guild: DiscordFixture) -> None:
    people = await crowd(guild, 40)
    refuse_payouts(guild)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        done = await guild.shows(summary, COMPLETE, "Failed:** 40", " more")
        (file,) = done.attachments
        text = file.data.decode()
        assert all(f"{person}\t$1.00\t" in text for person in people)


async def test_interrupted_batch_shows_the_reason_and_continues_at_the_next_start(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        break_ledger(guild)
        await guild.press(summary, "Confirm")
        await guild.shows(summary, "Interrupted", "The batch stopped", "tried again soon")
        assert guild.batches() == ["running"]
        mend_ledger(guild)
    async with guild.bot():
        await guild.shows(summary, COMPLETE, "Users Paid:** 1")
    assert guild.ledger.balance(bob.id) == 2500


async def test_a_stop_finishes_the_chunk_in_hand_and_the_next_start_the_rest(guild: DiscordFixture) -> None:
    await crowd(guild, 150)
    guild.adjust(chunk_size=1, progress_seconds=0.05)
    async with guild.bot() as stop:
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, "In Progress")
        stop.set()
        await guild.shows(summary, "The bot is stopping")
    assert guild.batches() == ["running"]
    assert guild.credited() < 150
    async with guild.bot():
        await guild.shows(summary, COMPLETE, "Users Paid:** 150", seconds=20)


async def test_a_batch_approved_before_the_start_is_paid_and_announced(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.approved()
    async with guild.bot():
        entry = await guild.audit_entry()
        assert field(entry, "Processed By") == "the command line"
    assert guild.ledger.balance(bob.id) == 2500


async def test_a_batch_of_the_command_line_is_announced_once(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        await guild.ledger.pay()
        await guild.referrer("Eve", 1000)
        await guild.ask()
        await guild.audit_entry("$25.00")
    async with guild.bot():
        await guild.ask()
        await guild.press(await guild.ask(), "Confirm")
        await guild.audit_entry("$10.00")
    assert len(audit_posts(guild)) == 2


async def test_a_file_with_a_past_is_not_announced(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    guild.clock.advance(WEEK_SECONDS + 1)
    await guild.referrer("Eve", 1000)
    await guild.ledger.pay()
    async with guild.bot():
        await guild.audit_entry("$10.00")
    assert len(audit_posts(guild)) == 1


async def test_an_audit_entry_that_was_refused_is_posted_later(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    guild.sandbox.faults.forbid_channel(guild.audit.id)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Sent:** 1")
    assert audit_posts(guild) == []
    guild.sandbox.faults.allow_channel(guild.audit.id)
    async with guild.bot():
        await guild.audit_entry("$25.00")
    assert len(audit_posts(guild)) == 1


async def test_audit_entry_without_a_recorded_post_is_not_posted_twice(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    async with guild.bot():
        first = await guild.audit_entry()
        await marked(guild)
    with raw(guild.ledger.path) as connection:
        connection.execute("UPDATE cashback_announcements SET message_id = NULL WHERE kind = 'audit'")
    async with guild.bot():
        await marked(guild)
    assert audit_posts(guild) == [first]


async def marked(guild: DiscordFixture) -> None:
    """Wait until the ledger has recorded the audit entry."""
    query = "SELECT 1 FROM cashback_announcements WHERE kind = 'audit' AND message_id IS NOT NULL"
    await until(lambda: guild.ledger.rows(query))


async def test_result_is_posted_again_if_its_message_was_deleted(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        hold = guild.sandbox.faults.hold("PATCH", f"/messages/{summary.id}$")
        await guild.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        guild.sandbox.state.delete(summary)
        hold.release()
        again = await guild.sandbox.wait_for(titled(COMPLETE), after=summary)
        assert again.channel_id == guild.channel.id


async def test_missing_audit_channel_is_one_log_line_and_delays_nothing(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    settings = guild.settings.model_copy(
        update={"logging_channels": guild.settings.logging_channels.model_copy(update={"audit": 123456789012345678})}
    )
    guild.settings = settings
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Sent:** 1")
    assert guild.ledger.balance(bob.id) == 2500
    told = [each.getMessage() for each in caplog.records if "logging_channels.audit" in each.getMessage()]
    assert len(told) == 1
    assert "there is no such channel" in told[0]


@pytest.mark.parametrize("how", ["archived", "locked", "deleted", "hidden"])
async def test_result_is_posted_in_the_audit_channel_if_its_own_can_no_longer_be_used(
    guild: DiscordFixture, how: str
) -> None:
    guild.adjust(progress_seconds=0.05)
    thread = guild.sandbox.add_thread("payouts", guild.channel)
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        said = await guild.say("!sendref-cashb", channel=thread)
        summary = await guild.sandbox.wait_for(lambda message: bool(message.buttons), after=said)
        if how == "hidden":
            guild.sandbox.faults.fail("PATCH", f"/messages/{summary.id}$", status=403, code=50001, times=1000)
            await guild.press(summary, "Confirm")
        else:
            hold = guild.sandbox.faults.hold("PATCH", f"/messages/{summary.id}$")
            await guild.press(summary, "Confirm")
            with anyio.fail_after(5):
                await hold.arrived.wait()
            if how == "deleted":
                guild.sandbox.remove_channel(thread)
            else:
                guild.sandbox.archive_thread(thread, locked=how == "locked")
            hold.release()
        result = await guild.sandbox.wait_for(titled(COMPLETE), after=summary)
        assert result.channel_id == guild.audit.id
        await guild.shows(result, COMPLETE, "Sent:** 1")
        await until(
            lambda: guild.ledger.rows("SELECT 1 FROM cashback_announcements WHERE kind = 'summary' AND is_final = 1")
        )
        refused = [
            each for each in guild.sandbox.requests if f"/messages/{summary.id}" in each.path and each.status >= 400
        ]
        assert len(refused) <= 2
    assert guild.ledger.balance(bob.id) == 2500


async def test_without_an_audit_channel_the_result_reopens_the_thread(guild: DiscordFixture) -> None:
    guild.settings = guild.settings.model_copy(update={"logging_channels": LoggingChannels()})
    thread = guild.sandbox.add_thread("payouts", guild.channel)
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        said = await guild.say("!sendref-cashb", channel=thread)
        summary = await guild.sandbox.wait_for(lambda message: bool(message.buttons), after=said)
        hold = guild.sandbox.faults.hold("PATCH", f"/messages/{summary.id}$")
        await guild.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        guild.sandbox.archive_thread(thread)
        hold.release()
        result = await guild.sandbox.wait_for(titled(COMPLETE), after=summary)
    assert (result.channel_id, thread.archived) == (thread.id, False)


async def test_edits_end_if_the_result_cannot_be_posted_anywhere(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    guild.settings = guild.settings.model_copy(update={"logging_channels": LoggingChannels()})
    channel = guild.sandbox.add_channel("temporary")
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        said = await guild.say("!sendref-cashb", channel=channel)
        summary = await guild.sandbox.wait_for(lambda message: bool(message.buttons), after=said)
        hold = guild.sandbox.faults.hold("PATCH", f"/messages/{summary.id}$")
        await guild.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        guild.sandbox.remove_channel(channel)
        hold.release()
        await until(
            lambda: guild.ledger.rows("SELECT 1 FROM cashback_announcements WHERE kind = 'summary' AND is_final = 1")
        )
    assert guild.ledger.balance(bob.id) == 2500
    assert len([each for each in caplog.records if "is gone" in each.getMessage()]) == 1
