"""The bot that the program runs in: ours, or any other. It is checked first; then it gets commands and buttons."""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.gateway.configuration_check import Needs, StartError, check_before_connecting
from cashback.cogs.gateway.gateway_status import Client, GatewayStatus
from cashback.cogs.gateway.running_check import RunningCheck
from cashback.cogs.gateway.translations import CommandTranslator
from cashback.cogs.gateway.typed_words import TypedWords

INTENTS: Final = ("guilds", "guild_messages", "message_content")
REFUSALS: Final = (commands.CommandError, app_commands.AppCommandError, discord.ClientException)


class Host:
    """Adds commands, buttons, listeners and a trace of requests to a bot, and removes them again."""

    def __init__(
        self,
        client: Client,
        gateway_status: GatewayStatus,
        needs: Needs,
        *,
        cogs: Sequence[commands.Cog],
        buttons: Sequence[type[discord.ui.DynamicItem[Any]]],
        trace: aiohttp.TraceConfig,
        typed_words: TypedWords,
        disabled_commands: Collection[str] = (),
    ) -> None:
        """`disabled_commands` are the names of commands that the bot does not get."""
        self.client = client
        self.gateway_status = gateway_status
        self.running_check = RunningCheck(client, gateway_status, needs)
        self._typed_words = typed_words
        self._translator = CommandTranslator(client)
        self._needs = needs
        self._cogs = cogs
        self._buttons = buttons
        self._trace = trace
        self._disabled = disabled_commands

    async def add(self) -> None:
        """Check the bot, then add everything, or nothing. Raises StartError."""
        self._require_intents()
        self._leave_out_disabled()
        self._require_free_names()
        if self.client.user is not None:
            # A bot that has not logged in yet is checked once it is connected.
            await check_before_connecting(self.client, self._needs)
        try:
            for cog in self._cogs:
                await self.client.add_cog(cog)
        except REFUSALS as error:
            await self._remove_cogs()
            raise StartError(f"The commands cannot be added to this bot: {error}") from error
        self.client.add_dynamic_items(*self._buttons)
        self._add_trace()
        self._translator.start()
        self._typed_words.start()
        self.gateway_status.start()
        self.running_check.start()

    async def remove(self) -> None:
        """Remove what was added."""
        self.running_check.stop()
        self.gateway_status.stop()
        self._typed_words.stop()
        self._translator.stop()
        self._remove_trace()
        self.client.remove_dynamic_items(*self._buttons)
        await self._remove_cogs()

    async def _remove_cogs(self) -> None:
        for cog in self._cogs:
            # A bot that unloads an extension may have removed them already.
            if self.client.get_cog(cog.qualified_name) is cog:
                await self.client.remove_cog(cog.qualified_name)

    def _require_intents(self) -> None:
        missing = [name for name in INTENTS if not getattr(self.client.intents, name)]
        if missing:
            raise StartError(
                f"This bot's intents lack {', '.join(missing)}: pass discord.Intents with"
                f" {'it' if len(missing) == 1 else 'them'} to commands.Bot, and switch on the Message Content Intent in"
                " the developer portal."
            )

    def _leave_out_disabled(self) -> None:
        names = {name for cog in self._cogs for name in _names_of(cog)}
        unknown = sorted(set(self._disabled) - names)
        if unknown:
            raise StartError(
                f"disabled_commands names {unknown[0]!r}, which is not a command of ours: {', '.join(sorted(names))}."
            )
        for cog in self._cogs:
            cog.__cog_commands__ = [
                each for each in cog.__cog_commands__ if (each.root_parent or each).name not in self._disabled
            ]
            cog.__cog_app_commands__ = [each for each in cog.__cog_app_commands__ if each.name not in self._disabled]

    def _require_free_names(self) -> None:
        taken = sorted({name for cog in self._cogs for name in self._taken_names(cog)})
        if taken:
            raise StartError(
                f"This bot has commands of the same names already: {', '.join(taken)}. Rename them, or leave ours out:"
                f' "disabled_commands": {json.dumps(sorted({name.lstrip("/") for name in taken}))} in the settings.'
            )

    def _taken_names(self, cog: commands.Cog) -> Iterator[str]:
        scopes = [None, *(discord.Object(each) for each in self._guild_ids())]
        for each in _typed(cog):
            yield from (name for name in (each.name, *each.aliases) if self.client.get_command(name) is not None)
        for name in _slash_names(cog):
            if any(self.client.tree.get_command(name, guild=scope) is not None for scope in scopes):
                yield f"/{name}"

    def _guild_ids(self) -> set[int]:
        return {*self._needs.guild_ids, *(guild.id for guild in self.client.guilds)}

    def _add_trace(self) -> None:
        """Let the library's requests pass our trace, whether its session is open already or not."""
        if self.client.http.http_trace is None:
            self.client.http.http_trace = self._trace
        self._trace.freeze()
        for traces in self._open_sessions():
            traces.append(self._trace)

    def _remove_trace(self) -> None:
        if self.client.http.http_trace is self._trace:
            self.client.http.http_trace = None
        for traces in self._open_sessions():
            if self._trace in traces:
                traces.remove(self._trace)

    def _open_sessions(self) -> Iterator[list[aiohttp.TraceConfig]]:
        # The library has no other way to its session.
        session = getattr(self.client.http, "_HTTPClient__session", None)
        if isinstance(session, aiohttp.ClientSession):
            yield session.trace_configs


def _typed(cog: commands.Cog) -> list[commands.Command[Any, ..., Any]]:
    return [each for each in cog.__cog_commands__ if each.parent is None]


def _slash_names(cog: commands.Cog) -> list[str]:
    hybrids = (each for each in _typed(cog) if isinstance(each, (commands.HybridCommand, commands.HybridGroup)))
    return [each.name for each in (*hybrids, *cog.__cog_app_commands__)]


def _names_of(cog: commands.Cog) -> set[str]:
    return {*_slash_names(cog), *(each.name for each in _typed(cog))}
