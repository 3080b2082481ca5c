"""Help in Discord: lists of commands, the nearest one to a misspelled word, and what leads to what."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from cashback.cogs.buttons.member_pages import NEXT, Page
from sandbox import Member, Message
from tests.end_to_end.conftest import ANOTHER_BOT, BOTH_BOTS, OWN_BOT, SUMMARY, DiscordFixture, field, until
from tests.end_to_end.test_members import ask, note_to

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def test_admin_gets_every_typed_command_with_what_it_does(guild: DiscordFixture) -> None:
    async with guild.bot():
        shown = (await guild.answer("!sendref-cashb help")).text
    for name in (
        "sendref-cashb",
        "sendref-cashb history",
        "sendref-cashb schedule skip",
        "referral-link",
        "withdrawals",
    ):
        assert f"`!{name}` – " in shown


async def test_member_gets_the_members_commands_and_is_not_recorded_as_refused(guild: DiscordFixture) -> None:
    bob = guild.sandbox.add_member("Bob")
    async with guild.bot():
        typed = await guild.answer("!sendref-cashb help", by=bob)
        private = await ask(guild, bob, "help")
    for shown in (typed, private):
        assert "`/invite` – " in shown.text
        assert "`/cashback show` – " in shown.text
        assert "sendref-cashb" not in shown.text
    assert guild.audit_actions() == []


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("!sendref-cashb histry", "!sendref-cashb history"),
        ("!sendref-cashb Faliures", "!sendref-cashb failures"),
        ("!sendref-cashb schedule puase", "!sendref-cashb schedule pause"),
        ("!sendref-cashb notifications rety all", "!sendref-cashb notifications retry"),
        ("!sendref-cashb exclude", "!sendref-cashb --exclude"),
    ],
)
async def test_misspelled_word_gets_the_nearest_command_and_the_list(
    guild: DiscordFixture, typed: str, nearest: str
) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        shown = (await guild.answer(typed)).text
    assert f"Did you mean `{nearest}`?" in shown
    assert "The commands: `" in shown
    assert "Nothing was done." in shown
    assert "`!sendref-cashb help`" in shown
    assert guild.batches() == []


async def test_word_that_is_close_to_nothing_gets_the_list(guild: DiscordFixture) -> None:
    async with guild.bot():
        shown = (await guild.answer("!sendref-cashb xyzzy")).text
    assert "Did you mean" not in shown
    assert "`history`" in shown


@pytest.mark.parametrize(
    ("typed", "nearest"), [("!sendref-cash", "!sendref-cashb"), ("!referal-stats <@1>", "!referral-stats")]
)
async def test_misspelled_command_gets_the_nearest(guild: DiscordFixture, typed: str, nearest: str) -> None:
    async with guild.bot():
        assert f"Did you mean `{nearest}`?" in (await guild.answer(typed)).text


@pytest.mark.parametrize(
    ("inside", "typed"),
    [
        *product(BOTH_BOTS, ["!withdraw 5", "!history", "!ban @Bob", "!" + "sendref-cash" * 50]),
        # A command of the other bot of the tests.
        (OWN_BOT, "!help"),
    ],
)
async def test_other_bots_commands_are_left_alone(guild: DiscordFixture, typed: str) -> None:
    async with guild.bot():
        said = await guild.say(typed)
        await guild.answer("!sendref-cashb help")
    answers = [each for each in guild.sandbox.messages(guild.channel.id) if each.id > said.id]
    assert len(answers) == 2


@pytest.mark.parametrize(
    ("inside", "typed", "shown"),
    [
        # Another bot decides how its commands' first words are read.
        (OWN_BOT, "!SENDREF-CASHB HISTORY", "Cashback Batches"),
        (OWN_BOT, "!Sendref-Cashb Schedule Show", "Weekly Referral Cashback"),
        (ANOTHER_BOT, "!sendref-cashb Schedule Show", "Weekly Referral Cashback"),
        *((each, "!sendref-cashb NOTIFICATIONS", "0 direct messages failed") for each in BOTH_BOTS),
        *((each, "!sendref-cashb History --State completed", "Cashback Batches") for each in BOTH_BOTS),
    ],
)
async def test_words_are_read_in_any_case(guild: DiscordFixture, typed: str, shown: str) -> None:
    async with guild.bot():
        answer = await guild.answer(typed)
        assert shown in answer.text or "No batches" in answer.text


async def test_options_are_read_in_any_case(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.referrer("Eve", 100)
    async with guild.bot():
        summary = await guild.ask(f"!sendref-cashb --Only <@{bob.id}>")
        assert summary.embed["title"] == SUMMARY
        assert "$26.00" not in summary.text


async def test_commands_for_admins_are_hidden_from_members(guild: DiscordFixture) -> None:
    async with guild.bot():
        await until(guild.sandbox.commands.usable)
        registered: list[dict[str, Any]] = guild.sandbox.commands.usable()
    hidden = {each["name"] for each in registered if each["default_member_permissions"] is not None}
    admins = {"sendref-cashb", "withdrawals", *(each["name"] for each in registered if "referral-" in each["name"])}
    assert len(admins) > 5
    assert hidden == admins


def shared_command(message: Message) -> str:
    """Return the command in the sentence that `/invite` gives to share."""
    sentence = field(message, "Copy and Share").strip("`\n")
    return sentence[sentence.index("!setref") :]


async def test_shared_sentence_works_when_it_is_typed(guild: DiscordFixture) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with guild.bot():
        invite = await ask(guild, bob, "invite")
        answer = await guild.answer(shared_command(invite), by=eve)
        assert f"invited by <@{bob.id}>" in answer.text
        await note_to(guild, bob, f"<@{eve.id}> entered your code")
    assert guild.ledger.rows("SELECT referrer_user_id, referred_user_id FROM referrals") == [(bob.id, eve.id)]


@pytest.mark.parametrize(
    ("inside", "typed"), [*product(BOTH_BOTS, ["/setref {code}", "/SETREF {code}"]), (OWN_BOT, "!SetRef {code}")]
)
async def test_pasted_command_works_as_text(guild: DiscordFixture, typed: str) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with guild.bot():
        answer = await guild.answer(typed.format(code=bob.id), by=eve)
        assert f"invited by <@{bob.id}>" in answer.text


@pytest.mark.parametrize(("typed", "told"), [("!setref", "code is missing"), ("!setref abc", "is not a referral code")])
async def test_typed_code_that_is_wrong_is_refused(guild: DiscordFixture, typed: str, told: str) -> None:
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        assert told in (await guild.answer(typed, by=eve)).text
    assert guild.ledger.rows("SELECT 1 FROM referrals") == []


async def test_invite_says_the_next_payday(guild: DiscordFixture) -> None:
    bob = guild.sandbox.add_member("Bob")
    async with guild.bot():
        assert "No date is scheduled" in field(await ask(guild, bob, "invite"), "Next Payday")
    guild.adjust(auto_batch_enabled=True)
    async with guild.bot():
        shown = field(await ask(guild, bob, "invite"), "Next Payday")
    moment = int(shown.removeprefix("<t:").split(":")[0])
    assert 0 < moment - guild.clock().timestamp() <= timedelta(days=7).total_seconds()


@pytest.mark.parametrize(("sees", "word"), [(False, "or what you spent"), (True, "how much you spent in all")])
async def test_setref_says_before_and_after_which_numbers_the_referrer_sees(
    guild: DiscordFixture, *, sees: bool, word: str
) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    guild.adjust(referrers_see_spending=sees)
    async with guild.bot():
        before = await ask(guild, eve, "setref")
        assert guild.ledger.rows("SELECT 1 FROM referrals") == []
        after = await ask(guild, eve, "setref", code=str(bob.id))
    for shown in (before, after):
        assert word in shown.text
        assert "**0.5%** of what you buy" in shown.text
        assert "only an admin can change it" in shown.text


async def test_member_with_a_wrong_code_learns_how_to_change_it(guild: DiscordFixture) -> None:
    bob, zoe, eve = (guild.sandbox.add_member(name) for name in ("Bob", "Zoe", "Eve"))
    async with guild.bot():
        await ask(guild, eve, "setref", code=str(bob.id))
        shown = await ask(guild, eve, "setref", code=str(zoe.id))
    assert "ask an admin to change it" in shown.text


@pytest.mark.parametrize("sees", [False, True])
async def test_spending_is_shown_only_if_the_setting_allows_it(guild: DiscordFixture, *, sees: bool) -> None:
    bob = await guild.referrer("Bob", 1234)
    guild.adjust(referrers_see_spending=sees)
    async with guild.bot():
        for command in ("invite", "invites", "profile"):
            shown = (await ask(guild, bob, command)).text
            assert ("They Spent" in shown) is sees, command
        assert ("$12.34 spent" in (await ask(guild, bob, "invites")).text) is sees
        assert "They Spent" in (await guild.answer(f"!referral-stats <@{bob.id}>")).text


async def press(guild: DiscordFixture, who: Member, page: Message, label: str) -> Message:
    """Press a button that leads to another page; return that page."""
    custom_id = next(each.custom_id or "" for each in page.buttons if each.label == label)
    pressed = await guild.sandbox.click(page.id, custom_id, who.id)
    shown = await pressed.replied()
    assert shown is not None
    assert shown.ephemeral_to == who.id
    return shown


async def test_buttons_lead_to_what_follows(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        shown = await ask(guild, bob, "help")
        for label, title in (
            ("My Code", "Your Referral Code"),
            ("My Referrals", "Your Referrals"),
            ("My Cashback", "Your Referral Cashback"),
            ("My Wallet", "Your Wallet"),
        ):
            shown = await press(guild, bob, shown, label)
            assert title in str(shown.embed["title"])


def test_every_page_leads_to_others() -> None:
    assert set(NEXT) == set(Page)
    assert all(page not in following for page, following in NEXT.items())
