"""The one place where an exception becomes a reply, for prefix and slash commands and for buttons."""

import logging
import math
from typing import Any, Final

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.texts import embeds
from cashback.domain.errors import CashbackError

DISCORD_FAILURES: Final = (discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError)
"""All that a request to Discord may end with: its own answers, a dropped connection, no answer."""

ALREADY_ACKNOWLEDGED: Final = 40060

logger = logging.getLogger(__name__)


def is_lost_race(error: Exception) -> bool:
    """Return whether another bot with the same token has already answered this interaction."""
    return isinstance(error, discord.HTTPException) and error.code == ALREADY_ACKNOWLEDGED


def is_unexpected(error: Exception) -> bool:
    """Tell whether an error is none of those that Discord or the ledger may always answer with."""
    return not isinstance(error, (*DISCORD_FAILURES, CashbackError))


class RefusedError(commands.CheckFailure):
    """A check said no, with a sentence for whoever asked."""


async def answer_command_error(context: commands.Context[Any], error: Exception) -> None:
    """Tell who typed a command what went wrong. Raises nothing: where even that fails, the log says so."""
    error = _inner(error)
    if isinstance(error, commands.CommandNotFound):
        # Another bot may listen to the same prefix.
        return
    if is_lost_race(error):
        logger.debug("interaction %d was answered by another bot", context.message.id)
        return
    text = _explained(context, error)
    try:
        # Without a ledger nothing decides between two bots: by the nonce Discord shows their error once.
        await context.send(embed=embeds.error(text), ephemeral=True, nonce=f"error-{context.message.id}")
    except DISCORD_FAILURES as failure:
        if is_lost_race(failure):
            return
        logger.warning("an error could not be told in channel %s: %s", context.channel.id, failure)
    except RuntimeError as failure:
        # A stop that comes before the answer closes the library's session under it.
        if not context.bot.is_closed():
            raise
        logger.warning("an error could not be told in channel %s: %s", context.channel.id, failure)


async def answer_interaction_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Tell who used a slash command what went wrong. Raises nothing: where even that fails, the log says so."""
    error = _inner(error)
    if is_lost_race(error):
        logger.debug("interaction %d was answered by another bot", interaction.id)
        return
    if isinstance(error, app_commands.NoPrivateMessage):
        text = "This command works in the server only, not in direct messages."
    elif isinstance(error, app_commands.CommandOnCooldown):
        text = f"That is often; ask again in {math.ceil(error.retry_after)} s."
    else:
        text = explained(error)
    try:
        if interaction.response.is_done():
            await interaction.followup.send(embed=embeds.error(text), ephemeral=True)
        else:
            await interaction.response.send_message(embed=embeds.error(text), ephemeral=True)
    except DISCORD_FAILURES as failure:
        if not is_lost_race(failure):
            logger.warning("%d could not be told: %s (%s)", interaction.user.id, text, failure)


def _inner(error: Exception) -> Exception:
    """Take the library's wrappings off."""
    wrappings = (commands.HybridCommandError, commands.CommandInvokeError, app_commands.CommandInvokeError)
    while isinstance(error, wrappings):
        error = error.original
    return error


def _explained(context: commands.Context[Any], error: Exception) -> str:
    if isinstance(error, (commands.NoPrivateMessage, app_commands.NoPrivateMessage)):
        return "This command works in the server only, not in direct messages."
    if isinstance(error, (commands.UserInputError, app_commands.TransformerError)):
        return f"{_input_detail(error)} Nothing was done. {_usage(context)}"
    return explained(error)


def explained(error: Exception) -> str:
    """Put an error into a sentence for a person; one that nobody expected goes to the log."""
    if isinstance(error, (CashbackError, RefusedError)):
        return embeds.readable(str(error))
    logger.error("an unexpected error on Discord's side of the program", exc_info=error)
    return "Something went wrong; the bot's log says what."


def _input_detail(error: Exception) -> str:
    if isinstance(error, commands.TooManyArguments):
        return "There are more words than this command takes."
    if isinstance(error, commands.MissingRequiredArgument):
        return f"The {error.param.name} is missing."
    if isinstance(error, commands.FlagError):
        return _flag_detail(error)
    if isinstance(error, commands.BadArgument):
        return str(error)
    return "This command cannot be understood."


def _flag_detail(error: commands.FlagError) -> str:
    if isinstance(error, commands.BadFlagArgument):
        return str(error.original)
    if isinstance(error, commands.MissingFlagArgument):
        return f"--{error.flag.name} names nobody."
    if isinstance(error, commands.TooManyFlags):
        return f"--{error.flag.name} stands there twice."
    return "This command cannot be understood."


def _usage(context: commands.Context[Any]) -> str:
    if context.command is None:
        return ""
    name = f"{context.prefix or '/'}{context.command.qualified_name}"
    forms = [name] if not any(_is_required(each) for each in context.command.clean_params.values()) else []
    forms += [f"{name} {context.command.usage}"] if context.command.usage else []
    return f"Usage: {' or '.join(f'`{form}`' for form in forms or [name])}."


def _is_required(parameter: commands.Parameter) -> bool:
    """Tell whether a command needs this argument; of flags each has its default."""
    kind = parameter.converter
    return parameter.required and not (isinstance(kind, type) and issubclass(kind, commands.FlagConverter))
