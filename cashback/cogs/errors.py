"""The one place where an exception becomes a reply, for prefix and slash commands and for buttons."""

import logging
import math
from collections.abc import Awaitable
from typing import Any, Final

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.command_names import hint_for, names_of, options_of
from cashback.cogs.texts import embeds
from cashback.domain.errors import CashbackError
from cashback.domain.languages import mark, tr

DISCORD_FAILURES: Final = (discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError)
"""All failures of a request to Discord: an error response, a dropped connection, no response."""

FAILED_REQUESTS: Final = (discord.HTTPException, aiohttp.ClientError, TimeoutError, ConnectionError)
"""Those that are no mistake in the program, as a wrong use of the library or a full disk would be."""

LONGEST_REASON: Final = 200
ALREADY_ACKNOWLEDGED: Final = 40060
SERVER_ONLY: Final = mark("This command works in the server only, not in direct messages.")
HELP: Final = "sendref-cashb help"

logger = logging.getLogger(__name__)


def brief(error: Exception) -> str:
    """Return an error in one short line: what stands between may answer with a whole page."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


def is_lost_race(error: Exception) -> bool:
    """Return whether another bot with the same token has already answered this interaction."""
    return isinstance(error, discord.HTTPException) and error.code == ALREADY_ACKNOWLEDGED


def is_unexpected(error: Exception) -> bool:
    """Return whether an error is neither a failure of Discord nor one of the ledger's refusals."""
    return not isinstance(error, (*DISCORD_FAILURES, CashbackError))


class RefusedError(commands.CheckFailure):
    """A check refused the command, with a sentence for the member."""


async def answer_command_error(context: commands.Context[Any], error: Exception) -> None:
    """Answer a typed command that failed. Does not raise: if the answer fails, it is logged."""
    error = inner_error(error)
    if isinstance(error, commands.CommandNotFound):
        # Another bot may use the same prefix.
        return
    if is_lost_race(error):
        logger.debug("interaction %d was answered by another bot", context.message.id)
        return
    if _is_cut_off(context.bot, error):
        return
    text = _explained(context, error)
    sending = context.send(embed=embeds.error(text), ephemeral=True, nonce=nonce_of_answer(context))
    await _show(sending, context.bot, f"in channel {context.channel.id}", text)


def nonce_of_answer(context: commands.Context[Any]) -> str:
    """Return the nonce by which Discord shows one answer to a command, if one of two bots cannot reach the ledger."""
    return f"to-{context.message.id}"


async def answer_interaction_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Answer a slash command or a press that failed. Does not raise: if the answer fails, it is logged."""
    error = inner_error(error)
    if is_lost_race(error):
        logger.debug("interaction %d was answered by another bot", interaction.id)
        return
    if _is_cut_off(interaction.client, error):
        return
    if isinstance(error, app_commands.NoPrivateMessage):
        text = tr(SERVER_ONLY)
    elif isinstance(error, app_commands.CommandOnCooldown):
        seconds = math.ceil(error.retry_after)
        text = tr("You used this command too often; ask again in {seconds} s.", seconds=seconds)
    else:
        text = explained(error)
    if interaction.response.is_done():
        sending: Awaitable[object] = interaction.followup.send(embed=embeds.error(text), ephemeral=True)
    else:
        sending = interaction.response.send_message(embed=embeds.error(text), ephemeral=True)
    await _show(sending, interaction.client, f"to {interaction.user.id}", text)


async def _show(sending: Awaitable[object], client: discord.Client, place: str, text: str) -> None:
    """Send an answer about an error; if that fails, log it."""
    try:
        await sending
    except DISCORD_FAILURES as failure:
        if not (is_lost_race(failure) or _is_cut_off(client, failure)):
            logger.warning("an error could not be shown %s: %s (%s)", place, text, failure)
    except RuntimeError as failure:
        if not _is_cut_off(client, failure):
            raise


def _is_cut_off(client: discord.Client, error: Exception) -> bool:
    """Return whether the bot has stopped, after which nothing can be answered; log what that cut off in one line."""
    if not client.is_closed():
        return False
    # The library raises RuntimeError for a request after its session was closed.
    is_expected = isinstance(error, RuntimeError) or not is_unexpected(error)
    logger.warning(
        "the bot stopped before a command or a press was answered: %s", error, exc_info=None if is_expected else error
    )
    return True


def inner_error(error: Exception) -> Exception:
    """Return the error without the library's wrappers."""
    wrappers = (commands.HybridCommandError, commands.CommandInvokeError, app_commands.CommandInvokeError)
    while isinstance(error, wrappers):
        error = error.original
    return error


def _explained(context: commands.Context[Any], error: Exception) -> str:
    if isinstance(error, (commands.NoPrivateMessage, app_commands.NoPrivateMessage)):
        return tr(SERVER_ONLY)
    if isinstance(error, (commands.UserInputError, app_commands.TransformerError)):
        return " ".join(filter(None, (_input_detail(error), _hint(context), "Nothing was done.", _usage(context))))
    return explained(error)


def explained(error: Exception) -> str:
    """Return an error as a sentence for members; log it if it is unexpected."""
    if isinstance(error, (CashbackError, RefusedError)):
        return embeds.readable(str(error))
    if isinstance(error, FAILED_REQUESTS):
        logger.warning("a command or a press failed at Discord: %s", brief(error))
    else:
        logger.error("an unexpected error on Discord's side of the program", exc_info=error)
    return tr("Something went wrong; the bot's log has the details.")


def _input_detail(error: Exception) -> str:
    if isinstance(error, commands.TooManyArguments):
        return "There are more words than this command takes."
    if isinstance(error, commands.MissingRequiredArgument):
        return f"The {(error.param.displayed_name or error.param.name).replace('_', ' ')} is missing."
    if isinstance(error, commands.FlagError):
        return _flag_detail(error)
    if isinstance(error, commands.BadArgument):
        return str(error)
    return "The bot does not understand this command."


def _flag_detail(error: commands.FlagError) -> str:
    if isinstance(error, commands.BadFlagArgument):
        return str(error.original)
    if isinstance(error, commands.MissingFlagArgument):
        return f"--{error.flag.name} has no value."
    if isinstance(error, commands.TooManyFlags):
        return f"--{error.flag.name} is given twice."
    return "The bot does not understand this command."


def _usage(context: commands.Context[Any]) -> str:
    if context.command is None:
        return ""
    name = f"{context.prefix or '/'}{context.command.qualified_name}"
    forms = [name] if not any(_is_required(each) for each in context.command.clean_params.values()) else []
    forms += [f"{name} {context.command.usage}"] if context.command.usage else []
    return f"Usage: {' or '.join(f'`{form}`' for form in forms or [name])}."


def _hint(context: commands.Context[Any]) -> str:
    """Return the nearest subcommand and the list of all, if the first word after a group is none of them."""
    word, group = context.subcommand_passed, context.command
    if not word or not isinstance(group, commands.Group) or context.invoked_subcommand is not None:
        return ""
    path = f"{context.prefix or '/'}{group.qualified_name}"
    known = names_of(group)
    listed = ", ".join(f"`{name}`" for name in known)
    listing = f"The commands: {listed}; `{context.prefix or '/'}{HELP}` explains them."
    return " ".join(filter(None, (hint_for(word, [*known, *options_of(group)], path), listing)))


def _is_required(parameter: commands.Parameter) -> bool:
    """Return whether a command needs this argument. All flags have defaults."""
    kind = parameter.converter
    return parameter.required and not (isinstance(kind, type) and issubclass(kind, commands.FlagConverter))
