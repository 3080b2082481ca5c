"""Failures of Discord: payouts continue, messages are right in the end, and nothing is posted twice."""

from __future__ import annotations

import anyio
import pytest

from cashback.background.outbox_dispatcher import MAX_IN_FLIGHT
from cashback.cogs.posts.messenger import nonce_of
from sandbox import ManualClock
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, OWN_BOT, PROCESSED, RECEIVED, DiscordFixture, field, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

TOKEN_SECONDS = 15 * 60
UNKNOWN_INTERACTION = 10062


@pytest.fixture
def discord_clock() -> ManualClock:
    """Let a test move the local Discord's clock."""
    return ManualClock()


async def test_slash_command_that_discord_gave_up_on_is_one_line_in_the_log(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """A bot that was frozen for three seconds answers too late; that is no mistake in the program."""
    guild.sandbox.faults.fail("POST", "/interactions/[0-9]+/.+/callback", status=404, code=UNKNOWN_INTERACTION, times=9)
    async with guild.bot():
        await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb status")
        await until(lambda: "failed at Discord" in caplog.text)
    assert str(UNKNOWN_INTERACTION) in caplog.text
    assert not [each for each in caplog.records if each.exc_info]


async def test_a_batch_outlives_the_token_of_the_slash_command_that_began_it(
    guild: DiscordFixture, discord_clock: ManualClock
) -> None:
    """Result, failures and audit entry of a batch of hours go through the bot's own token."""
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb pay")
        summary = await asked.replied()
        assert summary is not None
        hold = guild.sandbox.faults.hold("PATCH", "/messages/[0-9]+$")
        await guild.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        discord_clock.advance(TOKEN_SECONDS + 1)
        hold.release()
        await guild.shows(summary, COMPLETE, "Users Paid:** 1", "Sent:** 1")
        await guild.audit_entry("$25.00")
    assert guild.ledger.balance(bob.id) == 2500


async def test_money_does_not_wait_for_a_message_that_cannot_be_edited(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        hold = guild.sandbox.faults.hold("PATCH", "/messages/[0-9]+$")
        await guild.press(summary, "Confirm")
        with anyio.fail_after(5):
            await hold.arrived.wait()
        await until(lambda: guild.ledger.balance(bob.id) == 2500)
        await until(lambda: guild.sandbox.direct_messages(bob.id))
        hold.release()
        await guild.shows(summary, COMPLETE)


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
async def test_edits_that_come_too_fast_are_waited_for(guild: DiscordFixture, scope: str) -> None:
    await guild.referrer("Bob", 2500)
    guild.sandbox.faults.rate_limit("PATCH", "/messages/[0-9]+$", retry_after=0.05, scope=scope, times=3)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Sent:** 1")


async def test_an_edit_of_an_old_message_that_is_refused_is_made_again(
    guild: DiscordFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages older than an hour may be edited three times in six seconds; 30046 comes with a 429."""
    monkeypatch.setattr("cashback.background.backoff.FIRST_RETRY_SECONDS", 0.05)
    await guild.referrer("Bob", 2500)
    guild.sandbox.faults.fail("PATCH", "/messages/[0-9]+$", status=429, code=30046, times=2)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Sent:** 1")


async def test_edit_is_repeated_after_a_dropped_connection(
    guild: DiscordFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dropped connection is not an HTTPException. If only those were caught, the summary would never change."""
    monkeypatch.setattr("cashback.background.backoff.FIRST_RETRY_SECONDS", 0.05)
    await guild.referrer("Bob", 2500)
    guild.sandbox.faults.drop("PATCH", "/messages/[0-9]+$", times=2)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Sent:** 1")


async def test_audit_entry_is_posted_once_after_a_dropped_connection(
    guild: DiscordFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Discord took the post and the response was lost, the bot looks for it before posting again."""
    monkeypatch.setattr("cashback.background.backoff.FIRST_RETRY_SECONDS", 0.05)
    await guild.referrer("Bob", 2500)
    guild.sandbox.faults.drop("POST", f"/channels/{guild.audit.id}/messages$", after_effect=True)
    async with guild.bot():
        await guild.press(await guild.ask(), "Confirm")
        query = "SELECT 1 FROM cashback_announcements WHERE kind = 'audit' AND message_id IS NOT NULL"
        await until(lambda: guild.ledger.rows(query))
    posted = [each for each in guild.sandbox.messages(guild.audit.id) if each.embed.get("title") == PROCESSED]
    assert len(posted) == 1


async def test_a_summary_that_could_not_be_sent_pays_nothing_and_can_be_asked_for_again(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    guild.sandbox.faults.drop("POST", f"/channels/{guild.channel.id}/messages$")
    async with guild.bot():
        told = await guild.answer("!sendref-cashb")
        assert told.text.startswith("❌")
        assert guild.ledger.balance(bob.id) == 0
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
    assert guild.ledger.balance(bob.id) == 2500


async def test_press_counts_if_its_acknowledgement_came_too_late(guild: DiscordFixture) -> None:
    """Discord shows the admin that the press failed. The decision is still carried out, and the message shows it."""
    bob = await guild.referrer("Bob", 2500)
    guild.sandbox.faults.fail("POST", "/interactions/.*/callback$", status=404, code=UNKNOWN_INTERACTION)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
    assert guild.ledger.balance(bob.id) == 2500


async def test_a_slash_command_that_cannot_be_answered_any_more_plans_nothing(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    guild.sandbox.faults.fail("POST", "/interactions/.*/callback$", status=404, code=UNKNOWN_INTERACTION)
    async with guild.bot():
        await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb pay")
        await guild.answer("!sendref-cashb nonsense")
        assert guild.batches() == []
        again = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb pay")
        assert await again.replied() is not None
    assert guild.batches() == ["proposed"]


async def test_a_deadline_that_passes_while_the_batch_runs_changes_nothing(guild: DiscordFixture) -> None:
    """A view's own timeout would show the batch as expired while it pays."""
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        summary = await guild.ask()
        hold = guild.sandbox.faults.hold("PATCH", "/messages/[0-9]+$")
        await guild.press(summary, "Confirm")
        await until(lambda: guild.batches() != ["proposed"])
        guild.clock.advance(10_000)
        hold.release()
        await guild.shows(summary, COMPLETE)
    assert guild.ledger.balance(bob.id) == 2500
    assert "batch_expired" not in guild.audit_actions()


async def test_messages_that_are_left_over_at_a_stop_go_out_after_the_next_start(guild: DiscordFixture) -> None:
    people = [await guild.referrer(f"Member {number}", 100) for number in range(6)]
    guild.adjust(dm_per_second=0.001)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
        await until(lambda: guild.ledger.rows("SELECT 1 FROM cashback_notifications WHERE status = 'sent'"))
    assert len(guild.ledger.rows("SELECT 1 FROM cashback_notifications WHERE status = 'queued'")) >= 4
    guild.adjust(dm_per_second=50)
    async with guild.bot():
        await guild.shows(summary, "Sent:** 6")
    assert [len(guild.sandbox.direct_messages(each.id)) for each in people] == [1] * 6


async def test_a_second_batch_opens_no_channel_again(guild: DiscordFixture) -> None:
    people = [await guild.referrer(f"Member {number}", 100) for number in range(3)]
    async with guild.bot():
        for _ in range(2):
            summary = await guild.ask()
            await guild.press(summary, "Confirm")
            await guild.shows(summary, COMPLETE, "Sent:** 3")
            guild.clock.advance(60)
            await guild.ledger.earn_all((each.id, 50) for each in people)
    opened = [each for each in guild.sandbox.requests if each.path == "/users/@me/channels"]
    assert len(opened) == 3
    assert len({nonce_of("BATCH", each.id, "payout") for each in people}) == 3


async def test_closed_inboxes_touch_no_payout_and_are_no_failure(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    bob, eve = await guild.referrer("Bob", 2500), await guild.referrer("Eve", 1000)
    guild.sandbox.faults.close_dms(bob.id)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        done = await guild.shows(summary, COMPLETE, "Sent:** 1", "Undeliverable:** 1")
        assert "Failed:** 0" in field(done, "📊 Results")
    assert (guild.ledger.balance(bob.id), guild.ledger.balance(eve.id)) == (2500, 1000)
    told = [each for each in caplog.records if f"direct message to {bob.id}" in each.getMessage()]
    assert [each.levelname for each in told] == ["INFO"]


async def heard_again(guild: DiscordFixture) -> None:
    """Type until the bot answers: if a payload ended the connection, words typed before the reconnect are lost."""
    for _ in range(20):
        said = await guild.say("!sendref-cashb nonsense")
        try:
            await guild.sandbox.wait_for(lambda each: "nonsense" in each.text, 0.5, after=said)
        except TimeoutError:
            continue
        return
    pytest.fail("the bot is deaf")


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("MESSAGE_CREATE", {"nonsense": 1}),
        ("MESSAGE_CREATE", {"id": [], "author": "nobody"}),
        ("INTERACTION_CREATE", {}),
        ("INTERACTION_CREATE", {"id": "1", "type": 3, "data": {"custom_id": 7}}),
        ("GUILD_CREATE", {"id": "x"}),
        ("GUILD_ROLE_UPDATE", {"guild_id": None}),
        ("CHANNEL_UPDATE", {}),
        ("READY", {}),
        ("NO_SUCH_EVENT", {"a": "b"}),
    ],
)
@pytest.mark.parametrize("inside", [OWN_BOT])
async def test_a_payload_that_makes_no_sense_ends_nothing(
    guild: DiscordFixture, event: str, payload: dict[str, object]
) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        guild.sandbox.gateway._hub.dispatch(event, payload)
        await heard_again(guild)
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
        await guild.sandbox.wait_for(lambda each: each.embed.get("title") == RECEIVED)
    assert guild.ledger.balance(bob.id) == 2500


async def test_recipients_whose_messages_fail_hold_up_nobody_else(guild: DiscordFixture) -> None:
    bad = [await guild.referrer(f"Bad {number}", 100) for number in range(20)]
    healthy = [await guild.referrer(f"Good {number}", 100) for number in range(20)]
    assert max(each.id for each in bad) < min(each.id for each in healthy)
    of_bad = [f"/channels/{guild.sandbox.open_direct_channel(each.id).id}/messages" for each in bad]
    guild.sandbox.faults.fail("POST", f"^({'|'.join(of_bad)})$", status=503, times=1000)
    guild.adjust(dm_per_second=20)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await until(lambda: guild.credited() == 40)

        def all_healthy_have_theirs() -> bool:
            # Time passes, so that bad ones are due again before the last of the healthy ones got theirs.
            guild.clock.advance(60)
            return all(guild.sandbox.direct_messages(each.id) for each in healthy)

        await until(all_healthy_have_theirs)
        sent = [each.path for each in guild.sandbox.requests if each.method == "POST"]
        of_healthy = {f"/channels/{guild.sandbox.open_direct_channel(each.id).id}/messages" for each in healthy}
        # The last ones are in flight at once, and while one of them is slow a bad one may come again.
        last = [place for place, path in enumerate(sent) if path in of_healthy][-MAX_IN_FLIGHT]
        assert [sent[:last].count(path) for path in of_bad] == [1] * len(of_bad)
