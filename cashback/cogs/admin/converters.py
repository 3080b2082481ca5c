"""People as arguments of a command: one, or several. A word that is no mention and no id is an error, never nobody."""

import re
from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.texts import embeds

ARGUMENT_LENGTH: Final = 60
_ID_OR_MENTION: Final = re.compile(r"<@!?[0-9]{15,20}>|[0-9]{15,20}")


MOST_NAMED: Final = 50
"""More are a list, not a few people: that is what the limits in the settings are for."""


class Referrer(commands.Converter[discord.User], app_commands.Transformer):
    """A person by mention or id, in the server or not. Never by name: two people may share one."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        """Let Discord's own picker choose the person of a slash command."""
        return discord.AppCommandOptionType.user

    async def convert(self, ctx: commands.Context[Any], argument: str) -> discord.User:
        """Find the person that a message names. Raises BadArgument where there is none."""
        if not _ID_OR_MENTION.fullmatch(argument):
            shown = embeds.escaped(embeds.clip(argument, ARGUMENT_LENGTH))
            raise commands.BadArgument(f"“{shown}” is neither a mention nor an id.")
        try:
            return await commands.UserConverter().convert(ctx, argument)
        except commands.UserNotFound as error:
            raise commands.BadArgument(f"There is no user {embeds.escaped(argument)}.") from error

    async def transform(self, interaction: discord.Interaction[Any], value: Any, /) -> discord.User:  # noqa: ANN401 -- the library's own type
        """Take the person that Discord has found already."""
        return value  # type: ignore[no-any-return]


class Referrers(commands.Converter[frozenset[int]], app_commands.Transformer):
    """Several people by mention or id, with spaces between; in a slash command too, which has no picker for several."""

    async def convert(self, ctx: commands.Context[Any], argument: str) -> frozenset[int]:
        """Find the people that a message names. Raises BadArgument where one of them is none."""
        words = argument.replace(",", " ").split()
        if len(words) > MOST_NAMED:
            raise commands.BadArgument(f"These are {len(words)} people; name at most {MOST_NAMED}.")
        return frozenset([(await Referrer().convert(ctx, word)).id for word in words])

    async def transform(self, interaction: discord.Interaction[Any], value: Any, /) -> frozenset[int]:  # noqa: ANN401 -- the library's own type
        """Find the people that a slash command's text names."""
        return await self.convert(await commands.Context.from_interaction(interaction), str(value))


class Payees(commands.FlagConverter, prefix="--", delimiter=" "):
    """Whom a batch is for: one referrer, only some, or everyone but some; everyone where nobody is named."""

    user: discord.User = commands.flag(
        positional=True,
        default=None,
        converter=Referrer,
        description="The one referrer to pay; leave it out to pay everyone.",
    )
    only: frozenset[int] = commands.flag(
        default=frozenset(), converter=Referrers, description="Pay only these: mentions or ids."
    )
    exclude: frozenset[int] = commands.flag(
        default=frozenset(), converter=Referrers, description="Pay everyone but these: mentions or ids."
    )
