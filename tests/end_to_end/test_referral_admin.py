"""`referral-…`: the commands about members, their notes to members, and every refusal."""

from __future__ import annotations

import pytest

from cashback.cogs.buttons.undo import UNBLACKLIST
from sandbox import Message
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field, saying
from tests.end_to_end.test_members import note_to

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def in_audit_channel(town: DiscordFixture, *words: str) -> Message:
    """Wait for a line in the audit channel."""
    matches = saying(*words)
    return await town.sandbox.wait_for(lambda each: each.channel_id == town.audit.id and matches(each))


async def test_blacklisting_is_announced_recorded_and_covers_later_referrals(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        done = await town.answer(f"!referral-blacklist <@{bob.id}> own *second* account @everyone")
        assert done.text.startswith("✅ Done")
        assert r"own \*second\* account" in done.text
        assert done.pinged == []
        await note_to(town, bob, "You are blacklisted", r"own \*second\* account")
        line = await in_audit_channel(town, "is blacklisted", f"By <@{town.admin.id}>")
        assert line.pinged == []
        await town.till.earn(bob.id, 100)
        assert (await town.answer("!sendref-cashb")).text == "ℹ️ No referral cashback is pending."
        again = await town.answer(f"!referral-blacklist {bob.id}")
        assert "is already blacklisted" in again.text
    assert town.audit_actions() == ["blacklisted"]


async def test_an_unblacklisting_gives_back_what_was_pending(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    await town.till.database.blacklist_referral_user(bob.id)
    async with town.bot():
        done = await town.answer(f"!referral-unblacklist <@{bob.id}>")
        assert "may earn referral cashback again" in done.text
        await note_to(town, bob, "You may earn")
        await in_audit_channel(town, "may earn referral cashback again")
        assert "is not blacklisted" in (await town.answer(f"!referral-unblacklist <@{bob.id}>")).text
        assert "$25.00" in (await town.ask()).text
    assert town.audit_actions() == ["blacklisted", "unblacklisted", "batch_proposed"]


async def test_undo_under_a_blacklisting_removes_it_and_is_for_admins_only(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        done = await town.answer(f"!referral-blacklist <@{bob.id}> mistaken for another")
        refused = await town.press(done, UNBLACKLIST, by=bob)
        await refused.replied()
        assert [(told.ephemeral_to, "Only an admin may" in told.text) for told in refused.followups] == [(bob.id, True)]
        await town.press(done, UNBLACKLIST)
        shown = await town.shows(done, "may earn referral cashback again")
        assert [(each.label, each.disabled) for each in shown.buttons] == [(UNBLACKLIST, True)]
        await note_to(town, bob, "You may earn")
        await in_audit_channel(town, "may earn referral cashback again", f"By <@{town.admin.id}>")
        assert "$25.00" in (await town.ask()).text
    assert town.audit_actions() == ["blacklisted", "refused", "unblacklisted", "batch_proposed"]


async def test_undo_of_an_earlier_blacklisting_leaves_a_later_one(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        done = await town.answer(f"!referral-blacklist <@{bob.id}> mistaken for another")
        await town.answer(f"!referral-unblacklist <@{bob.id}>")
        town.clock.advance(60)
        await town.answer(f"!referral-blacklist <@{bob.id}> fraud")
        pressed = await town.press(done, UNBLACKLIST)
        await pressed.replied()
        assert ["nothing was changed" in told.text for told in pressed.followups] == [True]
    assert town.audit_actions() == ["blacklisted", "unblacklisted", "blacklisted"]


async def test_statistics_show_all_facts_about_a_member(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500, 100)
    town.sandbox.remove_member(bob.id)
    await town.till.database.blacklist_referral_user(bob.id, reason="own account")
    async with town.bot():
        shown = await town.answer(f"!referral-stats {bob.id}")
        assert (field(shown, "Referrals"), field(shown, "Earned"), field(shown, "Pending")) == ("2", "$26.00", "$0.00")
        assert "own account" in field(shown, "Why Something Is Not Paid")


async def test_link_and_unlink_are_announced_and_recorded(town: DiscordFixture) -> None:
    bob, eve = town.sandbox.add_member("Bob"), town.sandbox.add_member("Eve")
    async with town.bot():
        done = await town.answer(f"!referral-link <@{bob.id}> <@{eve.id}> forgot the code")
        assert f"<@{eve.id}> is linked to <@{bob.id}>. Reason: forgot the code" in done.text
        await note_to(town, eve, f"<@{bob.id}> invited you")
        await note_to(town, bob, f"you invited <@{eve.id}>")
        await in_audit_channel(town, "is linked to", "forgot the code")
        assert await town.till.database.get_referrer_for_user(eve.id) == bob.id
        ended = await town.answer(f"!referral-unlink <@{eve.id}> was a mistake")
        assert "is no longer linked" in ended.text
        await note_to(town, bob, "no longer counts")
        await in_audit_channel(town, "no longer linked", "was a mistake")
        assert await town.till.database.get_referrer_for_user(eve.id) is None
    assert town.audit_actions() == ["referral_linked", "referral_unlinked"]


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
async def test_wrong_input_changes_nothing(town: DiscordFixture, command: str, told: str) -> None:
    bob, eve, zoe = (town.sandbox.add_member(name) for name in ("Bob", "Eve", "Zoe"))
    machine = town.sandbox.add_member("Machine", bot=True)
    await town.till.database.create_referral(bob.id, eve.id)
    before = town.till.rows("SELECT * FROM referrals")
    async with town.bot():
        answer = await town.answer(command.format(bob=bob.id, eve=eve.id, zoe=zoe.id, machine=machine.id))
        assert answer.text.startswith("❌")
        assert told in answer.text
    assert town.till.rows("SELECT * FROM referrals") == before
    assert town.audit_actions() == []


@pytest.mark.parametrize("command", ["blacklist", "unblacklist", "stats", "unlink", "link"])
async def test_only_an_admin_may_and_the_attempt_is_recorded(town: DiscordFixture, command: str) -> None:
    bob = await town.referrer("Bob", 2500)
    people = f"<@{bob.id}> <@{town.admin.id}>" if command == "link" else f"<@{bob.id}>"
    options = (
        {"referrer": bob.id, "member": town.admin.id}
        if command == "link"
        else {"member" if command == "unlink" else "user": bob.id}
    )
    async with town.bot():
        assert "Only an admin may do this." in (await town.answer(f"!referral-{command} {people}", by=bob)).text
        asked = await town.sandbox.slash(town.channel.id, bob.id, f"referral-{command}", options)
        assert (await asked.answered()).ephemeral
    assert town.audit_actions() == ["refused", "refused"]
    assert town.sandbox.direct_messages(bob.id) == []


async def test_slash_commands_do_the_same(town: DiscordFixture) -> None:
    bob, eve = town.sandbox.add_member("Bob"), town.sandbox.add_member("Eve")
    async with town.bot():
        for name, options, told in (
            ("referral-link", {"referrer": bob.id, "member": eve.id, "reason": "asked"}, "is linked to"),
            ("referral-stats", {"user": bob.id}, "Referral Statistics"),
            ("referral-blacklist", {"user": bob.id, "reason": "spam"}, "Reason: spam"),
            ("referral-unblacklist", {"user": bob.id}, "may earn"),
            ("referral-unlink", {"member": eve.id}, "is no longer linked"),
        ):
            asked = await town.sandbox.slash(town.channel.id, town.admin.id, name, options)
            answer = await asked.replied()
            assert answer is not None
            assert told in answer.text
    assert town.audit_actions() == ["referral_linked", "blacklisted", "unblacklisted", "referral_unlinked"]


async def test_member_with_closed_messages_is_blacklisted(
    town: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    bob = await town.referrer("Bob", 2500)
    town.sandbox.faults.close_dms(bob.id)
    async with town.bot():
        assert "Done" in (await town.answer(f"!referral-blacklist <@{bob.id}>")).text
        await in_audit_channel(town, "is blacklisted")
        await town.answer("!sendref-cashb")
    told = [each for each in caplog.records if f"a note to {bob.id} was not delivered" in each.getMessage()]
    assert [each.levelname for each in told] == ["INFO"]
