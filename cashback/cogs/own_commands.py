"""Commands that answer their errors themselves: the error handler of the bot that we run in never hears of them."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import discord
from discord.ext import commands
from discord.ui import View

from cashback.cogs.errors import RefusedError, answer_command_error, inner_error, nonce_of_answer
from cashback.cogs.gateway.claims import Claims
from cashback.domain.errors import CashbackError

Kind = TypeVar("Kind", "OwnCommand", "OwnGroup")
Callback = Callable[..., Coroutine[Any, Any, None]]


class NotClaimedError(commands.CheckFailure):
    """Another process acts on this command; this one stays silent."""


OURS: Final = (commands.UserInputError, commands.NoPrivateMessage, RefusedError)
"""The errors of the library that mean a mistake in a command. Others come from the checks of the bot we run in."""


async def _dispatch(command: commands.Command[Any, ..., Any], ctx: commands.Context[Any], error: Exception) -> None:
    ctx.command_failed = True
    if isinstance(error, NotClaimedError):
        return
    if isinstance(inner_error(error), commands.CommandError) and not isinstance(inner_error(error), OURS):
        await commands.Command.dispatch_error(command, ctx, error)  # type: ignore[arg-type]  # it is one
        return
    await answer_command_error(ctx, error)


class OwnCog(commands.Cog):
    """Commands that each have one effect, also if several bots hear them."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    async def bot_check_once(self, ctx: commands.Context[Any]) -> bool:
        """Let a command pass if this process claims it first. Commands of other cogs pass."""
        if ctx.cog is not self:
            return True
        try:
            is_ours = await self._win(ctx)
        except CashbackError as error:
            raise commands.CommandInvokeError(error) from error
        if not is_ours:
            raise NotClaimedError
        return True

    async def _win(self, ctx: commands.Context[Any]) -> bool:
        if ctx.interaction is not None:
            return await self._claims.win_interaction(ctx.interaction)
        return await self._claims.win(ctx.message.id)


class TypedCommand(commands.Command[Any, ..., Any]):
    """A command that is only typed."""

    async def dispatch_error(self, ctx: commands.Context[Any], error: commands.CommandError, /) -> None:
        """Answer an error."""
        await _dispatch(self, ctx, error)


class OwnCommand(commands.HybridCommand[Any, ..., Any]):
    """A command, typed or chosen from Discord's picker."""

    async def dispatch_error(self, ctx: commands.Context[Any], error: commands.CommandError, /) -> None:
        """Answer an error."""
        await _dispatch(self, ctx, error)


class OwnGroup(commands.HybridGroup[Any, ..., Any]):
    """A command with subcommands."""

    async def dispatch_error(self, ctx: commands.Context[Any], error: commands.CommandError, /) -> None:
        """Answer an error."""
        await _dispatch(self, ctx, error)

    def command(self, **attributes: Any) -> Callable[[Callback], OwnCommand]:  # type: ignore[override]  # noqa: ANN401 -- as below
        """Make a subcommand of a method."""
        return self._adding(OwnCommand, attributes)

    def group(self, **attributes: Any) -> Callable[[Callback], "OwnGroup"]:  # type: ignore[override]  # noqa: ANN401 -- as below
        """Make a subcommand of a method that has subcommands itself."""
        return self._adding(OwnGroup, attributes)

    def _adding(self, kind: type[Kind], attributes: dict[str, Any]) -> Callable[[Callback], Kind]:
        def add(callback: Callback) -> Kind:
            made = kind(callback, parent=self, **attributes)
            self.add_command(made)
            return made

        return add


def typed(**attributes: Any) -> Callable[[Callback], TypedCommand]:  # noqa: ANN401 -- the library's attributes
    """Make a command of a method that is only typed."""
    return lambda callback: TypedCommand(callback, **attributes)


def command(**attributes: Any) -> Callable[[Callback], OwnCommand]:  # noqa: ANN401 -- as above
    """Make a command of a method."""
    return lambda callback: OwnCommand(callback, **attributes)


def group(**attributes: Any) -> Callable[[Callback], OwnGroup]:  # noqa: ANN401 -- as above
    """Make a command with subcommands of a method."""
    return lambda callback: OwnGroup(callback, **attributes)


async def defer(ctx: commands.Context[Any], *, ephemeral: bool = False) -> None:
    """Defer the answer of a slash command, unless a slow claim has deferred it already."""
    if ctx.interaction is None or not ctx.interaction.response.is_done():
        await ctx.defer(ephemeral=ephemeral)


async def answer(
    ctx: commands.Context[Any],
    content: str | None = None,
    *,
    embed: discord.Embed,
    open_file: Callable[[], discord.File] | None = None,
    view: View | None = None,
    **options: Any,  # noqa: ANN401 -- the library's
) -> discord.Message:
    """Send a command's answer, once for a command: further messages are sent by `ctx.send`.

    If another bot, without a ledger, has refused the command, its refusal is replaced.
    """
    files = [] if open_file is None else [open_file()]
    nonce = nonce_of_answer(ctx)
    sent = options if view is None else {**options, "view": view}
    message = await ctx.send(content, embed=embed, files=files, nonce=nonce, **sent)
    if [each.description for each in message.embeds] == [embed.description]:
        return message
    # A file can be sent once only.
    files = [] if open_file is None else [open_file()]
    return await message.edit(content=content, embed=embed, attachments=files, view=view)
