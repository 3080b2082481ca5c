"""Members read everything in their Discord language, admins in English, and the configuration may word it otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from cashback.domain.languages import LANGUAGES
from cashback.services import CLI, AdminService
from sandbox import Member
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, button, until
from tests.end_to_end.test_help import press
from tests.end_to_end.test_members import ask, note_to
from tests.end_to_end.test_withdrawals import configure

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


def speaker(guild: DiscordFixture, name: str, locale: str) -> Member:
    """Add a member with a Discord client in a language."""
    member = guild.sandbox.add_member(name)
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
    guild: DiscordFixture, locale: str, title: str, button: str, next_title: str
) -> None:
    bob = speaker(guild, "Bob", locale)
    async with guild.bot():
        shown = await ask(guild, bob, "invite")
        assert title in shown.text
        assert next_title in (await press(guild, bob, shown, button)).text
        await note_to(guild, bob, title)


async def test_messages_reach_each_member_in_their_own_language(guild: DiscordFixture) -> None:
    bob, eve = speaker(guild, "Bob", "de"), speaker(guild, "Eve", "pt-BR")
    async with guild.bot():
        await ask(guild, bob, "cashback show")
        welcome = await ask(guild, eve, "setref", code=str(bob.id))
        assert f"Você foi convidado por <@{bob.id}>" in welcome.text
        await note_to(guild, bob, f"<@{eve.id}> hat deinen Code eingegeben")
        await guild.ledger.buy([(eve.id, 250)])
        await guild.press(summary := await guild.ask(), "Confirm")
        await guild.shows(summary, COMPLETE, "$2.50")
        paid = await note_to(guild, bob, "Cashback erhalten")
    assert "2,50\u00a0$" in paid.text


async def test_answer_and_texts_in_the_audit_channel_for_admins_are_in_english(guild: DiscordFixture) -> None:
    guild.admin.locale = "de"
    bob = await guild.referrer("Bob", 250)
    bob.locale = "de"
    async with guild.bot():
        await ask(guild, bob, "invite")
        await ask(guild, guild.admin, "invite")
        asked = await guild.sandbox.slash(
            guild.channel.id, guild.admin.id, "referral-blacklist", {"user": bob.id, "reason": "spam"}
        )
        answer = await asked.replied()
        assert answer is not None
        assert "is blacklisted from referral cashback" in answer.text
        await note_to(guild, bob, "Du bist vom Cashback gesperrt", "Grund: spam")
        await guild.sandbox.wait_for(
            lambda each: each.channel_id == guild.audit.id and "is blacklisted from referral cashback" in each.text
        )


async def test_refusals_are_in_the_members_language(guild: DiscordFixture) -> None:
    configure(guild, minimum_cents=500)
    bob = speaker(guild, "Bob", "de")
    async with guild.bot():
        assert "kein Empfehlungscode" in (await ask(guild, bob, "setref", code="abc")).text
        assert "sich selbst werben" in (await ask(guild, bob, "setref", code=str(bob.id))).text
        low = await ask(guild, bob, "withdraw", amount="2,50", method="gift-card")
        assert "2,50\u00a0$ liegt unter dem Mindestbetrag von 5,00\u00a0$" in low.text
        assert "ist kein Betrag" in (await ask(guild, bob, "withdraw", amount="viel", method="gift-card")).text
        typed = await guild.answer("!setref 5", by=bob)
        assert "Kein Mitglied dieses Servers" in typed.text


async def test_what_is_stored_does_not_depend_on_the_members_language(guild: DiscordFixture) -> None:
    configure(guild)
    guild.adjust(approval_threshold_cents=100)
    bob = await guild.referrer("Bob", 99)
    await guild.ledger.pay()
    await guild.ledger.earn(bob.id, 50)
    await guild.ledger.pay()
    bob.locale = "de"
    async with guild.bot():
        await ask(guild, bob, "withdraw", amount="1,20", method="gift-card")
    assert guild.ledger.rows("SELECT needs_second_approver FROM cashback_withdrawals") == [
        ("From $1.00 on, two admins must approve.",)
    ]


async def test_slash_commands_are_described_in_each_language_and_keep_their_names(guild: DiscordFixture) -> None:
    async with guild.bot():
        await until(guild.sandbox.commands.usable)
        registered: list[dict[str, Any]] = guild.sandbox.commands.usable()
    for each in registered:
        described = each["description_localizations"] or {}
        is_for_admins = each["default_member_permissions"] is not None
        assert ("de" in described) is not is_for_admins, each["name"]
        assert not each["name_localizations"]
        assert all(0 < len(text) <= 100 for text in described.values())
    invite = next(each for each in registered if each["name"] == "invite")["description_localizations"]
    assert invite["es-ES"] == invite["es-419"]
    assert len({invite[locale] for locale in ("de", "es-ES", "pt-BR")}) == len(LANGUAGES) - 1


async def test_configuration_words_a_sentence(guild: DiscordFixture) -> None:
    texts = {"Next Payday": "Payday!", "🎟️ Your Referral Code": {"de": "Dein Schlüssel"}}
    guild.settings = guild.settings.model_copy(update={"texts": texts})
    bob, eve = speaker(guild, "Bob", "de"), guild.sandbox.add_member("Eve")
    async with guild.bot():
        german, english = (await ask(guild, bob, "invite")).text, (await ask(guild, eve, "invite")).text
    assert "Payday!" in german
    assert "Dein Schlüssel" in german
    assert "Payday!" in english
    assert "Your Referral Code" in english


async def test_configuration_words_what_describes_a_command_in_english_too(guild: DiscordFixture) -> None:
    texts = {"Get money out of your wallet.": {"en": "Cash out.", "de": "Geld her."}}
    guild.settings = guild.settings.model_copy(update={"texts": texts})
    async with guild.bot():
        await until(guild.sandbox.commands.usable)
        registered: list[dict[str, Any]] = guild.sandbox.commands.usable()
    described = next(each for each in registered if each["name"] == "withdraw")["description_localizations"]
    assert (described["en-US"], described["fr"], described["de"]) == ("Cash out.", "Cash out.", "Geld her.")


async def test_sixth_claim_of_a_day_is_refused_in_the_members_language(guild: DiscordFixture) -> None:
    bob = speaker(guild, "Bob", "pt-BR")
    service = AdminService(guild.ledger.database, guild.settings, lambda _: 0)
    for number in range(5):
        await service.claim_order(bob.id, str(number))
    async with guild.bot():
        assert "Você tentou cinco vezes" in (await ask(guild, bob, "claim", order="1001")).text


async def test_wallet_is_in_the_members_language_to_its_last_transaction(guild: DiscordFixture) -> None:
    configure(guild)
    bob = await guild.referrer("Bob", 500)
    await guild.ledger.pay()
    bob.locale = "de"
    service = AdminService(guild.ledger.database, guild.settings, lambda _: 0)
    async with guild.bot():
        asked = await ask(guild, bob, "withdraw", amount="1,00", method="gift-card")
        cancelled = await guild.sandbox.click(asked.id, button(asked, "Abhebung zurückziehen"), bob.id)
        await cancelled.answered()
        note = await note_to(guild, bob, "Abhebung zurückgezogen")
        assert "cancelled" not in note.text
        await ask(guild, bob, "withdraw", amount="1,00", method="gift-card")
        await service.decline_withdrawal(CLI, 2, reason="no {such} account")
        await service.adjust_wallet(CLI, bob.id, 50, reason="a gift")
        shown = (await ask(guild, bob, "wallet")).text
    for line in (
        "Korrektur - a gift",
        "Abhebung 2 abgelehnt - no {such} account",
        "Abhebung 1 zurückgezogen - vom Mitglied zurückgezogen",
        "Abhebung 2 - gift-card",
        "Cashback aus BATCH-",
    ):
        assert line in shown
    assert f"<t:{int(guild.clock().timestamp())}:d> **+0,50\u00a0$** Korrektur" in shown
