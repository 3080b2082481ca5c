"""The program as an extension of another bot: what it adds, what it refuses, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import discord
import pytest
from discord import app_commands
from discord.ext import commands

from cashback import CashbackError
from cashback.database.dialect import name_of
from cashback.domain.money import dollars
from tests.end_to_end.conftest import COMPLETE, DiscordFixture, until
from tests.end_to_end.hosts import OtherBot, intents, living
from tests.end_to_end.test_members import ask

pytestmark = pytest.mark.anyio

NO_SUCH_ID = 123456789012345678
HOSTS = "hello", "broken", "help"


def content(guild: DiscordFixture, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- as in JSON
    """Return what a config.json has, as a dict, and the ledger."""
    return {
        "database": name_of(guild.ledger.location, password=True),
        "guild_ids": [guild.sandbox.guild_id],
        "role_ids": {"admin": str(guild.admin_role.id)},
        "logging_channels": {"audit": guild.audit.id},
        "referral_settings": {"auto_batch_enabled": False, "dm_per_second": 50, "chunk_size": 1},
        **changes,
    }


class BareBot(OtherBot):
    """Another bot that loads nothing in its setup hook."""

    async def setup_hook(self) -> None:
        """Load the bot's own cog only."""
        await self.add_cog(self.greetings)


def traces(client: commands.Bot) -> tuple[object, ...]:
    """Return what an extension could leave in a bot."""
    return (
        sorted(client.all_commands),
        sorted(each.name for each in client.tree.get_commands()),
        sorted(client.cogs),
        {event: listeners for event, listeners in client.extra_events.items() if listeners},
        list(client._check_once),
        dict(client._connection._view_store._dynamic_items),
        client.http.http_trace,
        dict(client.extensions),
        sorted(task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith(("cashback", "sender"))),
    )


async def test_the_hosts_own_cogs_help_errors_and_signals_are_undisturbed(guild: DiscordFixture) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    mentions = discord.AllowedMentions(users=True, everyone=False)
    client = OtherBot(content(guild), allowed_mentions=mentions)
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        assert (await guild.answer("!hello")).text == "Hello from the host."
        assert (await guild.answer("!broken")).text == "The host's error handler: CommandInvokeError"
        await guild.say("!nothing-of-anyone")
        await until(lambda: client.errors == ["CommandInvokeError", "CommandNotFound"])
        listed = (await guild.answer("!help")).text
        assert all(name in listed for name in (*HOSTS, "sendref-cashb", "Cashback for admins"))
        eve = guild.sandbox.add_member("Eve")
        listed = (await guild.answer("!help", by=eve)).text
        assert "hello" in listed
        assert "sendref-cashb" not in listed
        assert client.greetings.heard[:2] == ["!hello", "Hello from the host."]
        assert client.allowed_mentions is mentions
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert guild.audit_actions() == []


async def test_an_error_of_ours_is_answered_once_and_not_by_the_hosts_handler(guild: DiscordFixture) -> None:
    client = OtherBot(content(guild))
    eve = guild.sandbox.add_member("Eve")
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        assert "neither a mention nor an id" in (await guild.answer("!sendref-cashb everyone")).text
        assert "Only an admin" in (await guild.answer("!sendref-cashb", by=eve)).text
        refused = await guild.sandbox.slash(guild.channel.id, eve.id, "sendref-cashb pay")
        answer = await refused.replied()
        assert answer is not None
        assert "Only an admin" in answer.text
        assert (await guild.answer("!hello")).text == "Hello from the host."
        assert client.errors == []
    assert guild.audit_actions() == ["refused", "refused"]


async def test_the_host_decides_about_its_tree(guild: DiscordFixture) -> None:
    class Unsynced(OtherBot):
        async def setup_hook(self) -> None:
            await self.load_extension("cashback")

    async with living(Unsynced(content(guild)), guild.sandbox):
        await guild.sandbox.wait_connected()
        await guild.answer("!sendref-cashb status")
        assert [each for each in guild.sandbox.requests if each.path.endswith("/commands")] == []


@pytest.mark.parametrize("moment", ["before the login", "in the setup hook", "when it is connected"])
@pytest.mark.parametrize("kind", [commands.Bot, commands.AutoShardedBot])
async def test_it_can_be_loaded_at_any_time_into_any_bot(
    guild: DiscordFixture, moment: str, kind: type[commands.Bot]
) -> None:
    bob = await guild.referrer("Bob", 2500)

    class Host(kind):  # type: ignore[misc, valid-type]  # a parameter
        cashback_settings = content(guild)

        async def setup_hook(self) -> None:
            if moment == "in the setup hook":
                await self.load_extension("cashback")

    client = Host("!", intents=intents())
    if moment == "before the login":
        await client.load_extension("cashback")
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        if moment == "when it is connected":
            await client.wait_until_ready()
            await client.load_extension("cashback")
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Sent:** 1")
        await guild.audit_entry()
    assert guild.ledger.balance(bob.id) == 2500
    assert [note.embed["title"] for note in guild.sandbox.direct_messages(bob.id)] == ["💰 Referral Cashback Received!"]


async def _other(ctx: commands.Context[Any]) -> None:
    """Do something else."""


async def _other_slash(interaction: discord.Interaction[Any]) -> None:
    """Do something else."""


def add_slash_commands(client: commands.Bot, *names: str) -> None:
    """Add slash commands of the host."""
    for name in names:
        client.tree.add_command(app_commands.Command(name=name, description="Other", callback=_other_slash))


REFUSALS: dict[str, tuple[dict[str, Any], Callable[[commands.Bot], object], tuple[str, ...]]] = {
    "a typed command of the host": (
        {},
        lambda client: client.add_command(commands.Command(_other, name="sendref-cashb")),
        ("already: sendref-cashb", '"disabled_commands": ["sendref-cashb"]'),
    ),
    "an alias of the host": (
        {},
        lambda client: client.add_command(commands.Command(_other, name="enter", aliases=["setref"])),
        ("already: setref.", '"disabled_commands": ["setref"]'),
    ),
    "slash commands of the host": (
        {},
        lambda client: add_slash_commands(client, "profile", "invites", "setref"),
        ("already: /invites, /profile, /setref.", '"disabled_commands": ["invites", "profile", "setref"]'),
    ),
    "a cog of the host of the same name": (
        {},
        lambda client: client.cogs and client._BotBase__cogs.update(Cashback=client.cogs["Greetings"]),  # type: ignore[attr-defined]
        ("Cog named 'Cashback' already loaded",),
    ),
    "no admin role": ({"role_ids": {}}, lambda _client: None, ("role_ids.admin is not set",)),
    "a role that is not there": (
        {"role_ids": {"admin": NO_SUCH_ID}},
        lambda _client: None,
        (f"role_ids.admin is {NO_SUCH_ID}, but there is no such role",),
    ),
    "a server that the bot is not in": (
        {"guild_ids": [NO_SUCH_ID]},
        lambda _client: None,
        (f"The bot is in none of guild_ids [{NO_SUCH_ID}]",),
    ),
    "a wrong setting": (
        {"referral_settings": {"chunk_size": "many"}},
        lambda _client: None,
        ('bot.cashback_settings: referral_settings.chunk_size is "many", but may be a whole number',),
    ),
    "a misspelled setting": (
        {"referral_settings": {"chunk_sise": 5}},
        lambda _client: None,
        ("referral_settings.chunk_sise is not a setting; the nearest is referral_settings.chunk_size",),
    ),
    "a disabled command that does not exist": (
        {"disabled_commands": ["profil"]},
        lambda _client: None,
        ("disabled_commands names 'profil', which is not a command of ours: ", "profile"),
    ),
    "a ledger that cannot be opened": ({"database": "/proc/nowhere/ledger.db"}, lambda _client: None, ("ledger.db",)),
    "settings that are something else": (
        {},
        lambda client: setattr(client, "cashback_settings", 7),
        ("bot.cashback_settings is a int, but may be the content of config.json as a dict",),
    ),
    "additions that are something else": (
        {},
        lambda client: setattr(client, "cashback_additions", 7),
        ("bot.cashback_additions is a int, but may be",),
    ),
    "an intent that is missing": (
        {},
        lambda client: setattr(client._connection._intents, "message_content", False),
        ("intents lack message_content", "developer portal"),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_cannot_work_is_one_error_and_nothing_is_half_loaded(guild: DiscordFixture, name: str) -> None:
    changes, spoil, words = REFUSALS[name]
    client = BareBot(content(guild, **changes))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        await client.wait_until_ready()
        spoil(client)
        before = traces(client)
        with pytest.raises(commands.ExtensionFailed) as refused:
            await client.load_extension("cashback")
        text = str(refused.value.original)
        assert all(word in text for word in words), text
        assert "\n" not in text
        assert traces(client) == before
        assert sys.modules["cashback.domain.errors"].CashbackError is CashbackError
        assert (await guild.answer("!hello")).text == "Hello from the host."


async def test_after_a_refusal_and_its_remedy_it_loads(guild: DiscordFixture) -> None:
    client = BareBot(content(guild, role_ids={"admin": NO_SUCH_ID}))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        await client.wait_until_ready()
        with pytest.raises(commands.ExtensionFailed):
            await client.load_extension("cashback")
        client.cashback_settings = content(guild)
        await client.load_extension("cashback")
        assert "Only an admin" in (await guild.answer("!sendref-cashb", by=guild.sandbox.add_member("Eve"))).text
        with pytest.raises(commands.ExtensionAlreadyLoaded):
            await client.load_extension("cashback")


async def test_a_wrong_role_that_is_only_seen_after_the_login_ends_the_extension_not_the_host(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    client = BareBot(content(guild, role_ids={"admin": NO_SUCH_ID}))
    before = traces(client)[:6]
    await client.load_extension("cashback")
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        await until(lambda: "cashback stopped: role_ids.admin" in caplog.text)
        await until(lambda: not client.get_command("sendref-cashb"))
        assert (await guild.answer("!hello")).text == "Hello from the host."
        await client.remove_cog("Greetings")
        assert traces(client)[:6] == before
        await client.unload_extension("cashback")


async def test_commands_that_collide_can_be_left_out(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)

    class Referrals(commands.Cog):
        """The cog of a bot that has such commands already."""

        @commands.hybrid_command()  # type: ignore[arg-type]  # mypy does not see through the union of callbacks
        async def profile(self, ctx: commands.Context[Any]) -> None:
            await ctx.send("The host's profile.")

        @commands.command()
        async def invites(self, ctx: commands.Context[Any]) -> None:
            await ctx.send("The host's invites.")

        @commands.command()
        async def setref(self, ctx: commands.Context[Any]) -> None:
            await ctx.send("The host's setref.")

    client = BareBot(content(guild))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        await client.wait_until_ready()
        await client.add_cog(Referrals())
        with pytest.raises(
            commands.ExtensionFailed, match=r"already: /profile, setref\. .*\[\"profile\", \"setref\"\]"
        ):
            await client.load_extension("cashback")
        client.cashback_settings = content(guild, disabled_commands=["profile", "setref"])
        await client.load_extension("cashback")
        for name in ("profile", "invites", "setref"):
            assert (await guild.answer(f"!{name}")).text == f"The host's {name}."
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, dollars(2500))
        listed = {each.name for each in client.tree.get_commands()}
        assert {"profile", "invites", "invite", "sendref-cashb"} <= listed
        assert "setref" not in listed
    assert guild.ledger.balance(bob.id) == 2500


async def test_settings_of_config_json_are_used_if_none_are_handed_over(
    guild: DiscordFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guild.referrer("Bob", 2500)
    (tmp_path / "config.json").write_text(json.dumps(content(guild) | {"token": "of the other bot", "roles": []}))
    monkeypatch.setenv("CASHBACK_DATABASE", name_of(guild.ledger.location, password=True))
    monkeypatch.chdir(tmp_path)
    client = commands.Bot("!", intents=intents())
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        await client.wait_until_ready()
        await client.load_extension("cashback")
        assert "$25.00" in (await guild.ask()).text


async def test_a_limit_on_use_is_answered_here_and_never_reaches_the_host(guild: DiscordFixture) -> None:
    heard: list[str] = []

    class Host(OtherBot):
        async def setup_hook(self) -> None:
            self.tree.error(self.hear)
            await super().setup_hook()

        async def hear(self, _interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
            heard.append(type(error).__name__)

    eve = guild.sandbox.add_member("Eve")
    settings = content(guild, shops={"till": {"kind": "square"}}) | {"email_key": "k" * 32}
    async with living(Host(settings), guild.sandbox):
        await guild.sandbox.wait_connected()
        for command, options in (
            ("claim", {"order": "1"}),
            ("shop link", {"email": "eve@example.com", "order": "1"}),
            ("invite", {}),
        ):
            answers = [await ask(guild, eve, command, **options) for _ in range(4)]
            assert ["ask again in" in each.text for each in answers] == [False, False, False, True]
    assert heard == []
