"""Typed messages that no command takes, in any bot: a slip of one of our commands, and a pasted `/setref CODE`.

A listener of messages hears them, not one of `on_command_error`: with that, a bot without a handler of its own would no
longer log its errors.
"""

from typing import Any, Final

import discord
from discord.ext import commands
from discord.ext.commands.view import StringView

from cashback.cogs.command_names import is_ours, meant_command
from cashback.cogs.errors import HELP, RefusedError, answer_command_error
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.gateway.gateway_status import Client
from cashback.domain.errors import CashbackError

PASTED_PREFIX: Final = "/"
PASTED: Final = "setref"
"""The only slash command that members send to each other as text."""

EVENT: Final = "on_message"


class TypedWords:
    """Answers such messages between `start` and `stop`."""

    def __init__(self, client: Client, claims: Claims) -> None:
        """`claims` decides whether this process answers."""
        self._client = client
        self._claims = claims

    def start(self) -> None:
        """Listen from now on."""
        self._client.add_listener(self._hear, EVENT)

    def stop(self) -> None:
        """Listen no more."""
        self._client.remove_listener(self._hear, EVENT)

    async def _hear(self, message: discord.Message) -> None:
        if message.author.bot:
            return
        context: commands.Context[Any] = await self._client.get_context(message)
        if context.prefix is None:
            await self._run_pasted(message)
        elif context.command is None:
            await self._correct(context)

    async def _run_pasted(self, message: discord.Message) -> None:
        """Run a `/setref CODE` that was sent as a message as if it were typed with the prefix."""
        view = StringView(message.content)
        if not view.skip_string(PASTED_PREFIX) or (word := view.get_word()).lower() != PASTED:
            return
        command = self._client.get_command(PASTED)
        if command is not None and is_ours(command):
            context: commands.Context[Any] = commands.Context(
                prefix=PASTED_PREFIX, view=view, bot=self._client, message=message, invoked_with=word, command=command
            )
            await self._client.invoke(context)

    async def _correct(self, context: commands.Context[Any]) -> None:
        """Answer a slip of a command of ours. Other words may be those of this bot, or of another with its prefix."""
        meant = meant_command(context.invoked_with or "", filter(is_ours, self._client.commands))
        if meant is None:
            return
        text = f"Did you mean `{context.prefix}{meant}`? Nothing was done; `{context.prefix}{HELP}` lists the commands."
        try:
            if await self._claims.win(context.message.id):
                await answer_command_error(context, RefusedError(text))
        except CashbackError as error:
            await answer_command_error(context, error)
