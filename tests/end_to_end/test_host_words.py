"""What people type and read in another bot: its currency and wordings, its translator, and the errors that it logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import discord
import pytest
from discord import app_commands
from discord.ext import commands

from cashback import Database
from cashback.domain.money import dollars
from tests.conftest import LedgerFixture
from tests.end_to_end.conftest import COMPLETE, DiscordFixture, until
from tests.end_to_end.hosts import OtherBot, intents, living
from tests.end_to_end.test_extension import content, traces
from tests.end_to_end.test_languages import speaker
from tests.end_to_end.test_members import ask, note_to

pytestmark = pytest.mark.anyio


class HostsTranslator(app_commands.Translator):
    """Knows the host's one sentence."""

    is_loaded = False

    async def load(self) -> None:
        """Note it."""
        self.is_loaded = True

    async def unload(self) -> None:
        """Note it."""
        self.is_loaded = False

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """Return the sentence in German."""
        return "Grüße" if (string.message, locale) == ("Greet", discord.Locale.german) else None


class Translated(OtherBot):
    """A host with a translator and a slash command of its own."""

    async def setup_hook(self) -> None:
        """Set the translator first."""
        await self.tree.set_translator(HostsTranslator())
        self.tree.add_command(app_commands.Command(name="greet", description="Greet", callback=greet))
        await super().setup_hook()


async def greet(interaction: discord.Interaction[Any]) -> None:
    """Greet."""
    await interaction.response.send_message("Hello.")


async def test_hosts_own_translator_stays_and_ours_are_translated_beside_it(guild: DiscordFixture) -> None:
    client = Translated(content(guild))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        found = {each["name"]: each["description_localizations"] or {} for each in guild.sandbox.commands.usable()}
        assert found["greet"] == {"de": "Grüße"}
        assert set(found["invite"]) >= {"de", "es-ES", "pt-BR"}
        await client.unload_extension("cashback")
        translator = client.tree.translator
        assert isinstance(translator, HostsTranslator)
        assert translator.is_loaded


async def test_host_without_an_error_handler_still_logs_its_errors(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    client = commands.Bot("!", intents=intents())
    client.cashback_settings = content(guild)  # type: ignore[attr-defined]  # a host's own attribute

    @client.command()
    async def broken(_ctx: commands.Context[Any]) -> None:
        raise LookupError("the host's own mistake")

    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        await client.wait_until_ready()
        before = traces(client)
        await client.load_extension("cashback")
        await guild.say("!broken")
        await until(lambda: "Ignoring exception in command broken" in caplog.text)
        assert "Did you mean `!sendref-cashb`?" in (await guild.answer("!sendref-cahsb")).text
        await client.unload_extension("cashback")
        assert traces(client)[:6] == before[:6]


async def test_pasted_command_of_a_host_that_has_its_own_is_left_alone(guild: DiscordFixture) -> None:
    client = OtherBot(content(guild, disabled_commands=["setref"]))
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        said = await guild.say(f"/setref {bob.id}", by=eve)
        await guild.answer("!hello")
        answers = [each for each in guild.sandbox.messages(guild.channel.id) if each.id > said.id]
        assert [each.text for each in answers] == ["!hello", "Hello from the host."]
    assert guild.ledger.rows("SELECT 1 FROM referrals") == []


async def test_hosts_currency_and_wordings_are_used_everywhere_and_end_with_it(
    guild: DiscordFixture, tmp_path: Path
) -> None:
    """Two bots in one process: each has its own currency."""
    path = tmp_path / "yen.db"
    settings = content(
        guild,
        database=str(path),
        currency="JPY",
        locale="de",
        texts={"Next Payday": "Payday!", "🎟️ Your Referral Code": {"de": "Dein Schlüssel"}},
    )
    async with Database(path, clock=guild.clock, currency=("JPY", 0)) as database:
        ledger = LedgerFixture(database, guild.clock)
        bob, eve = speaker(guild, "Bob", "de"), guild.sandbox.add_member("Eve")
        await ledger.earn(bob.id, 2500)
        async with living(OtherBot(settings), guild.sandbox):
            await guild.sandbox.wait_connected()
            assert "Dein Schlüssel" in (await ask(guild, bob, "invite")).text
            assert "Payday!" in (await ask(guild, eve, "invite")).text
            assert "2.500\u00a0¥" in (await ask(guild, bob, "cashback show")).text
            summary = await guild.ask()
            assert "2.500\u00a0¥" in summary.text
            await guild.press(summary, "Confirm")
            await guild.shows(summary, COMPLETE, "2.500\u00a0¥")
            await guild.audit_entry("2.500\u00a0¥")
            assert "2.500\u00a0¥" in (await note_to(guild, bob, "Cashback erhalten")).text
            assert "JPY" in (await guild.answer("!sendref-cashb setup")).text
    assert dollars(2500) == "$25.00"
