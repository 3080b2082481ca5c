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


async def test_admin_gets_every_typed_command_with_what_it_does(town: DiscordFixture) -> None:
    async with town.bot():
        shown = (await town.answer("!sendref-cashb help")).text
    for name in (
        "sendref-cashb",
        "sendref-cashb history",
        "sendref-cashb schedule skip",
        "referral-link",
        "withdrawals",
    ):
        assert f"`!{name}` – " in shown


async def test_member_gets_the_members_commands_and_is_not_recorded_as_refused(town: DiscordFixture) -> None:
    bob = town.sandbox.add_member("Bob")
    async with town.bot():
        typed = await town.answer("!sendref-cashb help", by=bob)
        private = await ask(town, bob, "help")
    for shown in (typed, private):
        assert "`/invite` – " in shown.text
        assert "`/cashback show` – " in shown.text
        assert "sendref-cashb" not in shown.text
    assert town.audit_actions() == []


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
    town: DiscordFixture, typed: str, nearest: str
) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        shown = (await town.answer(typed)).text
    assert f"Did you mean `{nearest}`?" in shown
    assert "The commands: `" in shown
    assert "Nothing was done." in shown
    assert "`!sendref-cashb help`" in shown
    assert town.batches() == []


async def test_word_that_is_close_to_nothing_gets_the_list(town: DiscordFixture) -> None:
    async with town.bot():
        shown = (await town.answer("!sendref-cashb xyzzy")).text
    assert "Did you mean" not in shown
    assert "`history`" in shown


@pytest.mark.parametrize(
    ("typed", "nearest"), [("!sendref-cash", "!sendref-cashb"), ("!referal-stats <@1>", "!referral-stats")]
)
async def test_misspelled_command_gets_the_nearest(town: DiscordFixture, typed: str, nearest: str) -> None:
    async with town.bot():
        assert f"Did you mean `{nearest}`?" in (await town.answer(typed)).text


@pytest.mark.parametrize(
    ("inside", "typed"),
    [
        *product(BOTH_BOTS, ["!withdraw 5", "!history", "!ban @Bob", "!" + "sendref-cash" * 50]),
        # A command of the other bot of the tests.
        (OWN_BOT, "!help"),
    ],
)
async def test_other_bots_commands_are_left_alone(town: DiscordFixture, typed: str) -> None:
    async with town.bot():
        said = await town.say(typed)
        await town.answer("!sendref-cashb help")
    answers = [each for each in town.sandbox.messages(town.channel.id) if each.id > said.id]
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
async def test_words_are_read_in_any_case(town: DiscordFixture, typed: str, shown: str) -> None:
    async with town.bot():
        answer = await town.answer(typed)
        assert shown in answer.text or "No batches" in answer.text


async def test_options_are_read_in_any_case(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    await town.referrer("Eve", 100)
    async with town.bot():
        summary = await town.ask(f"!sendref-cashb --Only <@{bob.id}>")
        assert summary.embed["title"] == SUMMARY
        assert "$26.00" not in summary.text


async def test_commands_for_admins_are_hidden_from_members(town: DiscordFixture) -> None:
    async with town.bot():
        await until(town.sandbox.commands.usable)
        registered: list[dict[str, Any]] = town.sandbox.commands.usable()
    hidden = {each["name"] for each in registered if each["default_member_permissions"] is not None}
    admins = {"sendref-cashb", "withdrawals", *(each["name"] for each in registered if "referral-" in each["name"])}
    assert len(admins) > 5
    assert hidden == admins


def shared_command(message: Message) -> str:
    """Return the command in the sentence that `/invite` gives to share."""
    sentence = field(message, "Copy and Share").strip("`\n")
    return sentence[sentence.index("!setref") :]


async def test_shared_sentence_works_when_it_is_typed(town: DiscordFixture) -> None:
    bob, eve = town.sandbox.add_member("Bob"), town.sandbox.add_member("Eve")
    async with town.bot():
        invite = await ask(town, bob, "invite")
        answer = await town.answer(shared_command(invite), by=eve)
        assert f"invited by <@{bob.id}>" in answer.text
        await note_to(town, bob, f"<@{eve.id}> entered your code")
    assert town.till.rows("SELECT referrer_user_id, referred_user_id FROM referrals") == [(bob.id, eve.id)]


@pytest.mark.parametrize(
    ("inside", "typed"), [*product(BOTH_BOTS, ["/setref {code}", "/SETREF {code}"]), (OWN_BOT, "!SetRef {code}")]
)
async def test_pasted_command_works_as_text(town: DiscordFixture, typed: str) -> None:
    bob, eve = town.sandbox.add_member("Bob"), town.sandbox.add_member("Eve")
    async with town.bot():
        answer = await town.answer(typed.format(code=bob.id), by=eve)
        assert f"invited by <@{bob.id}>" in answer.text


@pytest.mark.parametrize(("typed", "told"), [("!setref", "code is missing"), ("!setref abc", "is not a referral code")])
async def test_typed_code_that_is_wrong_is_refused(town: DiscordFixture, typed: str, told: str) -> None:
    eve = town.sandbox.add_member("Eve")
    async with town.bot():
        assert told in (await town.answer(typed, by=eve)).text
    assert town.till.rows("SELECT 1 FROM referrals") == []


async def test_invite_says_the_next_payday(town: DiscordFixture) -> None:
    bob = town.sandbox.add_member("Bob")
    async with town.bot():
        assert "No date is scheduled" in field(await ask(town, bob, "invite"), "Next Payday")
    town.adjust(auto_batch_enabled=True)
    async with town.bot():
        shown = field(await ask(town, bob, "invite"), "Next Payday")
    moment = int(shown.removeprefix("<t:").split(":")[0])
    assert 0 < moment - town.clock().timestamp() <= timedelta(days=7).total_seconds()


@pytest.mark.parametrize(("sees", "word"), [(False, "or what you spent"), (True, "how much you spent in all")])
async def test_setref_says_before_and_after_which_numbers_the_referrer_sees(
    town: DiscordFixture, *, sees: bool, word: str
) -> None:
    bob, eve = town.sandbox.add_member("Bob"), town.sandbox.add_member("Eve")
    town.adjust(referrers_see_spending=sees)
    async with town.bot():
        before = await ask(town, eve, "setref")
        assert town.till.rows("SELECT 1 FROM referrals") == []
        after = await ask(town, eve, "setref", code=str(bob.id))
    for shown in (before, after):
        assert word in shown.text
        assert "**0.5%** of what you buy" in shown.text
        assert "only an admin can change it" in shown.text


async def test_member_with_a_wrong_code_learns_how_to_change_it(town: DiscordFixture) -> None:
    bob, zoe, eve = (town.sandbox.add_member(name) for name in ("Bob", "Zoe", "Eve"))
    async with town.bot():
        await ask(town, eve, "setref", code=str(bob.id))
        shown = await ask(town, eve, "setref", code=str(zoe.id))
    assert "ask an admin to change it" in shown.text


@pytest.mark.parametrize("sees", [False, True])
async def test_spending_is_shown_only_if_the_setting_allows_it(town: DiscordFixture, *, sees: bool) -> None:
    bob = await town.referrer("Bob", 1234)
    town.adjust(referrers_see_spending=sees)
    async with town.bot():
        for command in ("invite", "invites", "profile"):
            shown = (await ask(town, bob, command)).text
            assert ("They Spent" in shown) is sees, command
        assert ("$12.34 spent" in (await ask(town, bob, "invites")).text) is sees
        assert "They Spent" in (await town.answer(f"!referral-stats <@{bob.id}>")).text


async def press(town: DiscordFixture, who: Member, page: Message, label: str) -> Message:
    """Press a button that leads to another page; return that page."""
    custom_id = next(each.custom_id or "" for each in page.buttons if each.label == label)
    pressed = await town.sandbox.click(page.id, custom_id, who.id)
    shown = await pressed.replied()
    assert shown is not None
    assert shown.ephemeral_to == who.id
    return shown


async def test_buttons_lead_to_what_follows(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    async with town.bot():
        shown = await ask(town, bob, "help")
        for label, title in (
            ("My Code", "Your Referral Code"),
            ("My Referrals", "Your Referrals"),
            ("My Cashback", "Your Referral Cashback"),
            ("My Wallet", "Your Wallet"),
        ):
            shown = await press(town, bob, shown, label)
            assert title in str(shown.embed["title"])


def test_every_page_leads_to_others() -> None:
    assert set(NEXT) == set(Page)
    assert all(page not in following for page, following in NEXT.items())
