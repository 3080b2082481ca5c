"""`referral-…`: the commands about members, their notes to members, and every refusal."""

from __future__ import annotations

import pytest

from cashback.cogs.buttons.undo import UNBLACKLIST
from sandbox import Message
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field, saying
from tests.end_to_end.test_members import note_to

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def in_audit_channel(guild: DiscordFixture, *words: str) -> Message:
    """Wait for a line in the audit channel."""
    matches = saying(*words)
    return await guild.sandbox.wait_for(lambda each: each.channel_id == guild.audit.id and matches(each))


async def test_blacklisting_is_announced_recorded_and_covers_later_referrals(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        done = await guild.answer(f"!referral-blacklist <@{bob.id}> own *second* account @everyone")
        assert done.text.startswith("✅ Done")
        assert r"own \*second\* account" in done.text
        assert done.pinged == []
        await note_to(guild, bob, "You are blacklisted", r"own \*second\* account")
        line = await in_audit_channel(guild, "is blacklisted", f"By <@{guild.admin.id}>")
        assert line.pinged == []
        await guild.ledger.earn(bob.id, 100)
        assert (await guild.answer("!sendref-cashb")).text == "ℹ️ No referral cashback is pending."
        again = await guild.answer(f"!referral-blacklist {bob.id}")
        assert "is already blacklisted" in again.text
    assert guild.audit_actions() == ["blacklisted"]


async def test_an_unblacklisting_gives_back_what_was_pending(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.database.blacklist_referral_user(bob.id)
    async with guild.bot():
        done = await guild.answer(f"!referral-unblacklist <@{bob.id}>")
        assert "may earn referral cashback again" in done.text
        await note_to(guild, bob, "You may earn")
        await in_audit_channel(guild, "may earn referral cashback again")
        assert "is not blacklisted" in (await guild.answer(f"!referral-unblacklist <@{bob.id}>")).text
        assert "$25.00" in (await guild.ask()).text
    assert guild.audit_actions() == ["blacklisted", "unblacklisted", "batch_proposed"]


async def test_undo_under_a_blacklisting_removes_it_and_is_for_admins_only(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        done = await guild.answer(f"!referral-blacklist <@{bob.id}> mistaken for another")
        refused = await guild.press(done, UNBLACKLIST, by=bob)
        await refused.replied()
        assert [(told.ephemeral_to, "Only an admin may" in told.text) for told in refused.followups] == [(bob.id, True)]
        await guild.press(done, UNBLACKLIST)
        shown = await guild.shows(done, "may earn referral cashback again")
        assert [(each.label, each.disabled) for each in shown.buttons] == [(UNBLACKLIST, True)]
        await note_to(guild, bob, "You may earn")
        await in_audit_channel(guild, "may earn referral cashback again", f"By <@{guild.admin.id}>")
        assert "$25.00" in (await guild.ask()).text
    assert guild.audit_actions() == ["blacklisted", "refused", "unblacklisted", "batch_proposed"]


async def test_undo_of_an_earlier_blacklisting_leaves_a_later_one(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        done = await guild.answer(f"!referral-blacklist <@{bob.id}> mistaken for another")
        await guild.answer(f"!referral-unblacklist <@{bob.id}>")
        guild.clock.advance(60)
        await guild.answer(f"!referral-blacklist <@{bob.id}> fraud")
        pressed = await guild.press(done, UNBLACKLIST)
        await pressed.replied()
        assert ["nothing was changed" in told.text for told in pressed.followups] == [True]
    assert guild.audit_actions() == ["blacklisted", "unblacklisted", "blacklisted"]


async def test_statistics_show_all_facts_about_a_member(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500, 100)
    guild.sandbox.remove_member(bob.id)
    await guild.ledger.database.blacklist_referral_user(bob.id, reason="own account")
    async with guild.bot():
        shown = await guild.answer(f"!referral-stats {bob.id}")
        assert (field(shown, "Referrals"), field(shown, "Earned"), field(shown, "Pending")) == ("2", "$26.00", "$0.00")
        assert "own account" in field(shown, "Why Something Is Not Paid")


async def test_link_and_unlink_are_announced_and_recorded(guild: DiscordFixture) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with guild.bot():
        done = await guild.answer(f"!referral-link <@{bob.id}> <@{eve.id}> forgot the code")
        assert f"<@{eve.id}> is linked to <@{bob.id}>. Reason: forgot the code" in done.text
        await note_to(guild, eve, f"<@{bob.id}> invited you")
        await note_to(guild, bob, f"you invited <@{eve.id}>")
        await in_audit_channel(guild, "is linked to", "forgot the code")
        assert await guild.ledger.database.get_referrer_for_user(eve.id) == bob.id
        ended = await guild.answer(f"!referral-unlink <@{eve.id}> was a mistake")
        assert "is no longer linked" in ended.text
        await note_to(guild, bob, "no longer counts")
        await in_audit_channel(guild, "no longer linked", "was a mistake")
        assert await guild.ledger.database.get_referrer_for_user(eve.id) is None
    assert guild.audit_actions() == ["referral_linked", "referral_unlinked"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("!referral-link <@{bob}> <@{bob}>", "cannot refer themselves"),
        ("!referral-link <@{bob}> <@{machine}>", "is a bot"),
        ("!referral-link <@{eve}> <@{bob}>", "referral loop"),
        ("!referral-link <@{zoe}> <@{eve}>", "already been referred"),
        ("!referral-link <@{zoe}>", "Usage: `!referral-link @referrer @member [reason]`"),
        ("!referral-link <@{zoe}> ghost", "neither a mention nor an id"),
        ("!referral-unlink <@{zoe}>", "has no referrer"),
        ("!referral-unlink", "Usage: `!referral-unlink @member [reason]`"),
        ("!referral-blacklist", "Usage: `!referral-blacklist @user [reason]`"),
        ("!referral-blacklist ghost", "neither a mention nor an id"),
        ("!referral-blacklist <@123456789012345678>", "There is no user"),
        ("!referral-unblacklist <@{zoe}> please", "more words"),
        ("!referral-stats", "Usage: `!referral-stats @user`"),
        ("!referral-stats everyone", "neither a mention nor an id"),
    ],
)
async def test_wrong_input_changes_nothing(guild: DiscordFixture, command: str, told: str) -> None:
    bob, eve, zoe = (guild.sandbox.add_member(name) for name in ("Bob", "Eve", "Zoe"))
    machine = guild.sandbox.add_member("Machine", bot=True)
    await guild.ledger.database.create_referral(bob.id, eve.id)
    before = guild.ledger.rows("SELECT * FROM referrals")
    async with guild.bot():
        answer = await guild.answer(command.format(bob=bob.id, eve=eve.id, zoe=zoe.id, machine=machine.id))
        assert answer.text.startswith("❌")
        assert told in answer.text
    assert guild.ledger.rows("SELECT * FROM referrals") == before
    assert guild.audit_actions() == []


@pytest.mark.parametrize("command", ["blacklist", "unblacklist", "stats", "unlink", "link"])
async def test_only_an_admin_may_and_the_attempt_is_recorded(guild: DiscordFixture, command: str) -> None:
    bob = await guild.referrer("Bob", 2500)
    people = f"<@{bob.id}> <@{guild.admin.id}>" if command == "link" else f"<@{bob.id}>"
    options = (
        {"referrer": bob.id, "member": guild.admin.id}
        if command == "link"
        else {"member" if command == "unlink" else "user": bob.id}
    )
    async with guild.bot():
        assert "Only an admin may do this." in (await guild.answer(f"!referral-{command} {people}", by=bob)).text
        asked = await guild.sandbox.slash(guild.channel.id, bob.id, f"referral-{command}", options)
        assert (await asked.answered()).ephemeral
    assert guild.audit_actions() == ["refused", "refused"]
    assert guild.sandbox.direct_messages(bob.id) == []


async def test_slash_commands_do_the_same(guild: DiscordFixture) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with guild.bot():
        for name, options, told in (
            ("referral-link", {"referrer": bob.id, "member": eve.id, "reason": "asked"}, "is linked to"),
            ("referral-stats", {"user": bob.id}, "Referral Statistics"),
            ("referral-blacklist", {"user": bob.id, "reason": "spam"}, "Reason: spam"),
            ("referral-unblacklist", {"user": bob.id}, "may earn"),
            ("referral-unlink", {"member": eve.id}, "is no longer linked"),
        ):
            asked = await guild.sandbox.slash(guild.channel.id, guild.admin.id, name, options)
            answer = await asked.replied()
            assert answer is not None
            assert told in answer.text
    assert guild.audit_actions() == ["referral_linked", "blacklisted", "unblacklisted", "referral_unlinked"]


async def test_member_with_closed_messages_is_blacklisted(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    bob = await guild.referrer("Bob", 2500)
    guild.sandbox.faults.close_dms(bob.id)
    async with guild.bot():
        assert "Done" in (await guild.answer(f"!referral-blacklist <@{bob.id}>")).text
        await in_audit_channel(guild, "is blacklisted")
        await guild.answer("!sendref-cashb")
    told = [each for each in caplog.records if f"a note to {bob.id} was not delivered" in each.getMessage()]
    assert [each.levelname for each in told] == ["INFO"]
