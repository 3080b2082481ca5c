"""From the command to the direct message, as an admin and the payees see it."""

from __future__ import annotations

import pytest

from tests.end_to_end.conftest import (
    BOTH_BOTS,
    COMPLETE,
    INDIVIDUAL,
    PROCESSED,
    RECEIVED,
    SUMMARY,
    DiscordFixture,
    field,
    saying,
    titled,
)

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def test_confirmed_batch_pays_and_notifies_everyone(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    eve = await guild.referrer("Eve", 1000, 500)
    async with guild.bot():
        summary = await guild.ask()
        assert summary.embed["title"] == SUMMARY
        statistics = field(summary, "📊 Batch Statistics").replace("**", "").splitlines()
        assert statistics == ["Users Receiving Payment: 2", "Total Amount: $40.00", "Average Per User: $20.00"]
        assert field(summary, "🏆 Top Payouts").splitlines() == [
            f"1. <@{bob.id}> - $25.00 (1 referral)",
            f"2. <@{eve.id}> - $15.00 (2 referrals)",
        ]
        assert [(each.label, each.style) for each in summary.buttons] == [("Confirm", 3), ("Cancel", 4)]

        await (await guild.press(summary, "Confirm")).answered()
        done = await guild.shows(summary, COMPLETE, "Sent:** 2")
        assert all(each.disabled for each in done.buttons)
        batch_id = guild.ledger.rows("SELECT batch_id FROM cashback_payout_batches")[0][0]
        results = field(done, "📊 Results").replace("**", "").splitlines()
        assert results == ["Users Paid: 2", "Total Distributed: $40.00", "Failed: 0", f"Batch ID: {batch_id}"]

        entry = await guild.audit_entry(batch_id)
        assert entry.embed["title"] == PROCESSED
        assert field(entry, "Users Paid") == "2"
        assert field(entry, "Total Amount") == "$40.00"
        assert field(entry, "Failed") == "0"
        assert field(entry, "Processed By") == f"<@{guild.admin.id}>"
        assert field(entry, "Mode") == "Batch"
        assert entry.embed["footer"]["text"] == f"Batch ID: {batch_id}"
        head = guild.ledger.rows("SELECT digest FROM cashback_audit_log WHERE action = 'batch_finished'")[0][0]
        assert field(entry, "Audit Head") == f"`{head}`"
    (note,) = guild.sandbox.direct_messages(eve.id)
    assert note.embed["title"] == RECEIVED
    assert field(note, "Amount Credited") == "$15.00"
    assert field(note, "From Referrals") == "2 users"
    assert field(note, "New Wallet Balance") == "$15.00"
    assert note.embed["footer"]["text"] == f"Apex Core • Batch ID: {batch_id}"
    assert (guild.ledger.balance(bob.id), guild.ledger.balance(eve.id)) == (2500, 1500)


async def test_one_referrer_is_paid_by_mention(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    eve = await guild.referrer("Eve", 1000)
    async with guild.bot():
        summary = await guild.ask(f"!sendref-cashb <@{bob.id}>")
        assert summary.embed["title"] == INDIVIDUAL
        details = field(summary, "Payment Details").replace("**", "").splitlines()
        assert details == [f"User: <@{bob.id}> (`{bob.id}`)", "Amount: $25.00", "Active Referrals: 1"]
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
        entry = await guild.audit_entry()
        assert field(entry, "Mode") == "Individual"
        assert str(bob.id) in field(entry, "Target User")
    assert (guild.ledger.balance(bob.id), guild.ledger.balance(eve.id)) == (2500, 0)


@pytest.mark.parametrize("named_by", ["<@{}>", "{}"])
async def test_referrer_outside_the_server_can_be_paid(guild: DiscordFixture, named_by: str) -> None:
    bob = await guild.referrer("Bob", 2500)
    guild.sandbox.remove_member(bob.id)
    async with guild.bot():
        summary = await guild.ask("!sendref-cashb " + named_by.format(bob.id))
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Undeliverable:** 1")
    assert guild.ledger.balance(bob.id) == 2500


async def test_slash_commands_do_the_same(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.referrer("Eve", 1000)
    async with guild.bot():
        asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb pay", {"user": bob.id})
        alone = await asked.replied()
        assert alone is not None
        assert alone.embed["title"] == INDIVIDUAL
        await guild.press(alone, "Confirm")
        await guild.shows(alone, COMPLETE)
        everyone = await (await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb pay")).replied()
        assert everyone is not None
        assert "Users Receiving Payment:** 1" in everyone.text
        await guild.press(everyone, "Confirm")
        await guild.shows(everyone, COMPLETE)


async def test_the_summary_names_ten_and_counts_the_rest(guild: DiscordFixture) -> None:
    pairs = [(guild.sandbox.add_member(f"Member {n}").id, 100 + n) for n in range(13)]
    await guild.ledger.earn_all(pairs)
    async with guild.bot():
        summary = await guild.ask()
        lines = field(summary, "🏆 Top Payouts").splitlines()
        assert len(lines) == 11
        assert lines[0].startswith(f"1. <@{pairs[12][0]}> - $1.12")
        assert lines[10] == "...and 3 more"
        assert summary.pinged == []


async def test_nothing_pending_is_shown(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob")
    async with guild.bot():
        assert (await guild.answer("!sendref-cashb")).text == "ℹ️ No referral cashback is pending."
        refused = await guild.answer(f"!sendref-cashb <@{bob.id}>")
        assert refused.text == f"❌ <@{bob.id}> has no pending cashback."
    assert guild.batches() == []


async def test_a_blacklisted_referrer_is_refused_by_name_of_the_reason(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.database.blacklist_referral_user(bob.id)
    async with guild.bot():
        refused = await guild.answer(f"!sendref-cashb <@{bob.id}>")
        assert "blacklisted" in refused.text
    assert guild.batches() == []


@pytest.mark.parametrize(
    "words", ["@ghost", "<@123456789012345678>", "everyone", "Bob", "12345", "<@{bob}> now", '"', "<@&{bob}>"]
)
async def test_unknown_member_never_pays_everyone(guild: DiscordFixture, words: str) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        refused = await guild.answer("!sendref-cashb " + words.format(bob=bob.id))
        assert refused.text.startswith("❌")
        assert "Usage: `!sendref-cashb` or `!sendref-cashb @user`" in refused.text
        assert refused.pinged == []
    assert guild.batches() == []


async def test_only_an_admin_may_ask_and_the_attempt_is_recorded(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        refused = await guild.answer("!sendref-cashb", by=bob)
        assert "Only an admin may do this." in refused.text
        asked = await guild.sandbox.slash(guild.channel.id, bob.id, "sendref-cashb pay", {"user": bob.id})
        answer = await asked.answered()
        assert answer.ephemeral
        # A non-admin gets the same refusal if a word is wrong.
        assert "Only an admin" in (await guild.answer("!sendref-cashb nonsense", by=bob)).text
    assert guild.audit_actions() == ["refused"] * 3
    assert guild.batches() == []


async def test_command_in_a_direct_message_is_refused(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        private = guild.sandbox.open_direct_channel(guild.admin.id)
        await guild.say("!sendref-cashb", channel=private)
        refused = await guild.sandbox.wait_for(saying("server only"))
        assert refused.channel_id == private.id
    assert guild.batches() == []


async def test_a_message_that_discord_sends_twice_is_acted_on_once(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        guild.sandbox.faults.duplicate_events("MESSAGE_CREATE")
        await guild.ask()
        # One author's commands run in the order of arrival, so the repeated one has ended by now.
        await guild.answer("!sendref-cashb nonsense")
        guild.sandbox.faults.duplicate_events("INTERACTION_CREATE")
        asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, "sendref-cashb pay")
        await asked.replied()
        assert asked.refused == 0
        await guild.answer("!sendref-cashb nonsense")
    assert guild.batches() == ["proposed", "proposed"]


async def test_commands_of_another_bot_are_left_alone(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        await guild.say("!balance")
        await guild.sandbox.wait_for(titled(SUMMARY), after=await guild.say("!sendref-cashb"))
        own = [each for each in guild.sandbox.messages(guild.channel.id) if each.author_id == guild.sandbox.bot_user_id]
        assert len(own) == 1
