"""The names of all commands, and the nearest one to a misspelled word."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from discord import app_commands
from discord.ext import commands

from cashback.cogs.texts.help_embeds import Described
from cashback.domain import similar_names

WORD_LENGTH: Final = 60
"""A word that is longer is not a slip of a command."""

_Command = commands.Command[Any, ..., Any] | app_commands.Command[Any, ..., Any] | app_commands.Group


def names_of(group: commands.Group[Any, ..., Any]) -> list[str]:
    """List a group's subcommands in alphabetical order."""
    return sorted(each.name for each in group.commands)


def options_of(command: commands.Command[Any, ..., Any]) -> list[str]:
    """List a command's options as they are typed."""
    kinds = [each.converter for each in command.clean_params.values()]
    flags = [kind.get_flags() for kind in kinds if isinstance(kind, type) and issubclass(kind, commands.FlagConverter)]
    return [f"--{name}" for each in flags for name, flag in each.items() if not flag.positional]


def hint_for(word: str, known: Sequence[str], path: str) -> str:
    """Return a question for the subcommand of `path` that was probably meant; empty if none is close."""
    meant = _meant(word, known)
    return f"Did you mean `{path} {meant}`?" if meant else ""


def meant_command(word: str, known: Iterable[commands.Command[Any, ..., Any]]) -> str | None:
    """Return the command that was probably meant; None if this word may well be another bot's command.

    Only names with a hyphen are this bot's for certain: `withdraw` is no slip of `withdrawals`.
    """
    return _meant(word, [each.name for each in known if "-" in each.name])


def _meant(word: str, known: Sequence[str]) -> str | None:
    return similar_names.meant(word, known) if len(word) <= WORD_LENGTH else None


def member_commands(client: commands.Bot) -> list[Described]:
    """List the slash commands for members, which have no typed form."""
    found = client.tree.walk_commands()
    return [
        Described(name=each.qualified_name, description=each.description)
        for each in sorted(found, key=lambda each: each.qualified_name)
        if is_ours(each)
        and isinstance(each, app_commands.Command)
        and not isinstance(each, commands.hybrid.HybridAppCommand)
    ]


def admin_commands(client: commands.Bot, *, only_for_viewers: bool) -> list[Described]:
    """List the typed commands for admins, or the part of them that viewers may use too."""
    return [
        Described(name=each.qualified_name, description=each.description)
        for each in sorted(client.walk_commands(), key=lambda each: each.qualified_name)
        if is_ours(each) and each.description and (not only_for_viewers or each.extras.get("viewers_too"))
    ]


def is_ours(
    command: commands.Command[Any, ..., Any] | app_commands.Command[Any, ..., Any] | app_commands.Group,
) -> bool:
    """Return whether a command is one of ours: the bot may have others."""
    return (command.module or "").startswith("cashback.")
