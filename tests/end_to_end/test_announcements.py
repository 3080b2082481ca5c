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


def refuse_payouts(town: DiscordFixture, condition: str = "1") -> None:
    """Make the ledger refuse the wallet transactions that match the condition, with markup in the reason."""
    with raw(town.till.path) as connection:
        connection.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'the *bank* is closed @everyone'); END"
        )


async def crowd(town: DiscordFixture, count: int) -> list[int]:
    """Add this many referrers with a dollar pending each."""
    people = [town.sandbox.add_member(f"Member {n}").id for n in range(count)]
    for person in people:
        town.sandbox.faults.close_dms(person)
    await town.till.earn_all((person, 100) for person in people)
    return people


def audit_posts(town: DiscordFixture) -> list[Message]:
    """List the audit channel's entries."""
    return [each for each in town.sandbox.messages(town.audit.id) if each.embed.get("title") == PROCESSED]


async def test_a_batch_that_lasts_shows_its_progress(town: DiscordFixture) -> None:
    await crowd(town, 150)
    town.adjust(chunk_size=1, progress_seconds=0.05, dm_per_second=1000)
    async with town.bot():
        summary = await town.ask()
        seen: set[int] = set()

        def is_underway(message: Message) -> bool:
            found = re.search(r"Users Paid:\*\* (\d+) of 150", message.text)
            if message.id == summary.id and found:
                seen.add(int(found[1]))
            return len([paid for paid in seen if 0 < paid < 150]) >= 2

        await town.press(summary, "Confirm")
        await town.sandbox.wait_for(is_underway, 10)
        await town.shows(summary, COMPLETE, "Users Paid:** 150", seconds=20)
        # Result, audit and progress go through the bot's own token: an interaction's lives for minutes.
        edits = [each.path for each in town.sandbox.requests if each.method == "PATCH"]
        assert edits
        assert not [path for path in edits if "webhooks" in path]


async def test_failures_are_listed_with_their_reasons(town: DiscordFixture) -> None:
    bob, _ = await town.referrer("Bob", 2500), await town.referrer("Eve", 1000)
    refuse_payouts(town, f"NEW.user_discord_id = {bob.id}")
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Confirm")
        done = await town.shows(summary, COMPLETE, "Failed:** 1", "Users Paid:** 1")
        line = field(done, "⚠️ Failed Payouts")
        assert line.startswith(f"<@{bob.id}> - $25.00: ")
        assert r"the \*bank\* is closed" in line
        assert "@everyone" not in line
        assert done.attachments == []
        assert field(await town.audit_entry(), "Failed") == "1"


async def test_failures_that_do_not_fit_are_in_a_file(town: DiscordFixture) -> None:
    people = await crowd(town, 40)
    refuse_payouts(town)
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Confirm")
        done = await town.shows(summary, COMPLETE, "Failed:** 40", " more")
        (file,) = done.attachments
        text = file.data.decode()
        assert all(f"{person}\t$1.00\t" in text for person in people)


async def test_interrupted_batch_shows_the_reason_and_continues_at_the_next_start(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
        break_ledger(town)
        await town.press(summary, "Confirm")
        await town.shows(summary, "Interrupted", "The batch stopped", "tried again soon")
        assert town.batches() == ["running"]
        mend_ledger(town)
    async with town.bot():
        await town.shows(summary, COMPLETE, "Users Paid:** 1")
    assert town.till.balance(bob.id) == 2500


async def test_a_stop_finishes_the_chunk_in_hand_and_the_next_start_the_rest(town: DiscordFixture) -> None:
    await crowd(town, 150)
    town.adjust(chunk_size=1, progress_seconds=0.05)
    async with town.bot() as stop:
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, "In Progress")
        stop.set()
        await town.shows(summary, "The bot is stopping")
    assert town.batches() == ["running"]
    assert town.credited() < 150
    async with town.bot():
        await town.shows(summary, COMPLETE, "Users Paid:** 150", seconds=20)


async def test_a_batch_approved_before_the_start_is_paid_and_announced(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    await town.till.approved()
    async with town.bot():
        entry = await town.audit_entry()
        assert field(entry, "Processed By") == "the command line"
    assert town.till.balance(bob.id) == 2500


async def test_a_batch_of_the_command_line_is_announced_once(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        await town.till.pay()
        await town.referrer("Eve", 1000)
        await town.ask()
        await town.audit_entry("$25.00")
    async with town.bot():
        await town.ask()
        await town.press(await town.ask(), "Confirm")
        await town.audit_entry("$10.00")
    assert len(audit_posts(town)) == 2


async def test_a_file_with_a_past_is_not_announced(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    await town.till.pay()
    town.clock.advance(WEEK_SECONDS + 1)
    await town.referrer("Eve", 1000)
    await town.till.pay()
    async with town.bot():
        await town.audit_entry("$10.00")
    assert len(audit_posts(town)) == 1


async def test_an_audit_entry_that_was_refused_is_posted_later(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    town.sandbox.faults.forbid_channel(town.audit.id)
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE, "Sent:** 1")
    assert audit_posts(town) == []
    town.sandbox.faults.allow_channel(town.audit.id)
    async with town.bot():
        await town.audit_entry("$25.00")
    assert len(audit_posts(town)) == 1


async def test_audit_entry_without_a_recorded_post_is_not_posted_twice(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    await town.till.pay()
    async with town.bot():
        first = await town.audit_entry()
        await marked(town)
    with raw(town.till.path) as connection:
        connection.execute("UPDATE cashback_announcements SET message_id = NULL WHERE kind = 'audit'")
    async with town.bot():
        await marked(town)
    assert audit_posts(town) == [first]


async def marked(town: DiscordFixture) -> None:
    """Wait until the ledger has recorded the audit entry."""
    query = "SELECT 1 FROM cashback_announcements WHERE kind = 'audit' AND message_id IS NOT NULL"
    await until(lambda: town.till.rows(query))


async def test_result_is_posted_again_if_its_message_was_deleted(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
        hold = town.sandbox.faults.hold("PATCH", f"/messages/{summary.id}$")
        await town.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        town.sandbox.state.delete(summary)
        hold.release()
        again = await town.sandbox.wait_for(titled(COMPLETE), after=summary)
        assert again.channel_id == town.channel.id


async def test_missing_audit_channel_is_one_log_line_and_delays_nothing(
    town: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    settings = town.settings.model_copy(
        update={"logging_channels": town.settings.logging_channels.model_copy(update={"audit": 123456789012345678})}
    )
    town.settings = settings
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE, "Sent:** 1")
    assert town.till.balance(bob.id) == 2500
    told = [each.getMessage() for each in caplog.records if "logging_channels.audit" in each.getMessage()]
    assert len(told) == 1
    assert "there is no such channel" in told[0]


@pytest.mark.parametrize("how", ["archived", "locked", "deleted", "hidden"])
async def test_result_is_posted_in_the_audit_channel_if_its_own_can_no_longer_be_used(
    town: DiscordFixture, how: str
) -> None:
    town.adjust(progress_seconds=0.05)
    thread = town.sandbox.add_thread("payouts", town.channel)
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        said = await town.say("!sendref-cashb", channel=thread)
        summary = await town.sandbox.wait_for(lambda message: bool(message.buttons), after=said)
        if how == "hidden":
            town.sandbox.faults.fail("PATCH", f"/messages/{summary.id}$", status=403, code=50001, times=1000)
            await town.press(summary, "Confirm")
        else:
            hold = town.sandbox.faults.hold("PATCH", f"/messages/{summary.id}$")
            await town.press(summary, "Confirm")
            with anyio.fail_after(5):
                await hold.arrived.wait()
            if how == "deleted":
                town.sandbox.remove_channel(thread)
            else:
                town.sandbox.archive_thread(thread, locked=how == "locked")
            hold.release()
        result = await town.sandbox.wait_for(titled(COMPLETE), after=summary)
        assert result.channel_id == town.audit.id
        await town.shows(result, COMPLETE, "Sent:** 1")
        await until(
            lambda: town.till.rows("SELECT 1 FROM cashback_announcements WHERE kind = 'summary' AND is_final = 1")
        )
        refused = [
            each for each in town.sandbox.requests if f"/messages/{summary.id}" in each.path and each.status >= 400
        ]
        assert len(refused) <= 2
    assert town.till.balance(bob.id) == 2500


async def test_without_an_audit_channel_the_result_reopens_the_thread(town: DiscordFixture) -> None:
    town.settings = town.settings.model_copy(update={"logging_channels": LoggingChannels()})
    thread = town.sandbox.add_thread("payouts", town.channel)
    await town.referrer("Bob", 2500)
    async with town.bot():
        said = await town.say("!sendref-cashb", channel=thread)
        summary = await town.sandbox.wait_for(lambda message: bool(message.buttons), after=said)
        hold = town.sandbox.faults.hold("PATCH", f"/messages/{summary.id}$")
        await town.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        town.sandbox.archive_thread(thread)
        hold.release()
        result = await town.sandbox.wait_for(titled(COMPLETE), after=summary)
    assert (result.channel_id, thread.archived) == (thread.id, False)


async def test_edits_end_if_the_result_cannot_be_posted_anywhere(
    town: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    town.settings = town.settings.model_copy(update={"logging_channels": LoggingChannels()})
    channel = town.sandbox.add_channel("temporary")
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        said = await town.say("!sendref-cashb", channel=channel)
        summary = await town.sandbox.wait_for(lambda message: bool(message.buttons), after=said)
        hold = town.sandbox.faults.hold("PATCH", f"/messages/{summary.id}$")
        await town.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        town.sandbox.remove_channel(channel)
        hold.release()
        await until(
            lambda: town.till.rows("SELECT 1 FROM cashback_announcements WHERE kind = 'summary' AND is_final = 1")
        )
    assert town.till.balance(bob.id) == 2500
    assert len([each for each in caplog.records if "is gone" in each.getMessage()]) == 1
