"""Members read everything in their Discord language, admins in English, and the configuration may word it otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from cashback.domain.languages import LANGUAGES
from sandbox import Member
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, until
from tests.end_to_end.test_help import press
from tests.end_to_end.test_members import ask, note_to
from tests.end_to_end.test_withdrawals import configure

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


def speaker(town: DiscordFixture, name: str, locale: str) -> Member:
    """Add a member with a Discord client in a language."""
    member = town.sandbox.add_member(name)
    member.locale = locale
    return member


@pytest.mark.parametrize(
    ("locale", "title", "button", "next_title"),
    [
        ("de", "Dein Empfehlungscode", "Mein Cashback", "Dein Cashback"),
        ("es-419", "Tu código de invitación", "Mi cashback", "Tu cashback"),
        ("pt-BR", "Seu código de indicação", "Meu cashback", "Seu cashback"),
        ("fr", "Your Referral Code", "My Cashback", "Your Referral Cashback"),
    ],
)
async def test_member_reads_pages_and_buttons_in_their_language(
    town: DiscordFixture, locale: str, title: str, button: str, next_title: str
) -> None:
    bob = speaker(town, "Bob", locale)
    async with town.bot():
        shown = await ask(town, bob, "invite")
        assert title in shown.text
        assert next_title in (await press(town, bob, shown, button)).text
        await note_to(town, bob, title)


async def test_messages_reach_each_member_in_their_own_language(town: DiscordFixture) -> None:
    bob, eve = speaker(town, "Bob", "de"), speaker(town, "Eve", "pt-BR")
    async with town.bot():
        await ask(town, bob, "cashback show")
        welcome = await ask(town, eve, "setref", code=str(bob.id))
        assert f"Você foi convidado por <@{bob.id}>" in welcome.text
        await note_to(town, bob, f"<@{eve.id}> hat deinen Code eingegeben")
        await town.till.buy([(eve.id, 250)])
        await town.press(summary := await town.ask(), "Confirm")
        await town.shows(summary, COMPLETE, "$2.50")
        paid = await note_to(town, bob, "Cashback erhalten")
    assert "2,50\u00a0$" in paid.text


async def test_answer_and_texts_in_the_audit_channel_for_admins_are_in_english(town: DiscordFixture) -> None:
    town.admin.locale = "de"
    bob = await town.referrer("Bob", 250)
    bob.locale = "de"
    async with town.bot():
        await ask(town, bob, "invite")
        await ask(town, town.admin, "invite")
        asked = await town.sandbox.slash(
            town.channel.id, town.admin.id, "referral-blacklist", {"user": bob.id, "reason": "spam"}
        )
        answer = await asked.replied()
        assert answer is not None
        assert "is blacklisted from referral cashback" in answer.text
        await note_to(town, bob, "Du bist vom Cashback gesperrt", "Grund: spam")
        await town.sandbox.wait_for(
            lambda each: each.channel_id == town.audit.id and "is blacklisted from referral cashback" in each.text
        )


async def test_refusals_are_in_the_members_language(town: DiscordFixture) -> None:
    configure(town, minimum_cents=500)
    bob = speaker(town, "Bob", "de")
    async with town.bot():
        assert "kein Empfehlungscode" in (await ask(town, bob, "setref", code="abc")).text
        assert "sich selbst werben" in (await ask(town, bob, "setref", code=str(bob.id))).text
        low = await ask(town, bob, "withdraw", amount="2,50", method="gift-card")
        assert "2,50\u00a0$ liegt unter dem Mindestbetrag von 5,00\u00a0$" in low.text
        assert "ist kein Betrag" in (await ask(town, bob, "withdraw", amount="viel", method="gift-card")).text
        typed = await town.answer("!setref 5", by=bob)
        assert "Kein Mitglied dieses Servers" in typed.text


async def test_what_is_stored_does_not_depend_on_the_members_language(town: DiscordFixture) -> None:
    configure(town)
    town.adjust(approval_threshold_cents=100)
    bob = await town.referrer("Bob", 99)
    await town.till.pay()
    await town.till.earn(bob.id, 50)
    await town.till.pay()
    bob.locale = "de"
    async with town.bot():
        await ask(town, bob, "withdraw", amount="1,20", method="gift-card")
    assert town.till.rows("SELECT needs_second_approver FROM cashback_withdrawals") == [
        ("From $1.00 on, two admins must approve.",)
    ]


async def test_slash_commands_are_described_in_each_language_and_keep_their_names(town: DiscordFixture) -> None:
    async with town.bot():
        await until(town.sandbox.commands.usable)
        registered: list[dict[str, Any]] = town.sandbox.commands.usable()
    for each in registered:
        described = each["description_localizations"] or {}
        is_for_admins = each["default_member_permissions"] is not None
        assert ("de" in described) is not is_for_admins, each["name"]
        assert not each["name_localizations"]
        assert all(0 < len(text) <= 100 for text in described.values())
    invite = next(each for each in registered if each["name"] == "invite")["description_localizations"]
    assert invite["es-ES"] == invite["es-419"]
    assert len({invite[locale] for locale in ("de", "es-ES", "pt-BR")}) == len(LANGUAGES) - 1


async def test_configuration_words_a_sentence(town: DiscordFixture) -> None:
    texts = {"Next Payday": "Payday!", "🎟️ Your Referral Code": {"de": "Dein Schlüssel"}}
    town.settings = town.settings.model_copy(update={"texts": texts})
    bob, eve = speaker(town, "Bob", "de"), town.sandbox.add_member("Eve")
    async with town.bot():
        german, english = (await ask(town, bob, "invite")).text, (await ask(town, eve, "invite")).text
    assert "Payday!" in german
    assert "Dein Schlüssel" in german
    assert "Payday!" in english
    assert "Your Referral Code" in english
