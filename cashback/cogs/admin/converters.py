"""Users as arguments of a command. Other words than mentions and ids are errors; they never mean "everyone"."""

import re
from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.admin.flags import Flags
from cashback.cogs.texts import embeds

ARGUMENT_LENGTH: Final = 60
_ID_OR_MENTION: Final = re.compile(r"<@!?[0-9]{15,20}>|[0-9]{15,20}")


MAX_USERS: Final = 50
"""The limits in the settings are for larger selections."""


class Referrer(commands.Converter[discord.User], app_commands.Transformer):
    """A user by mention or id, in the server or not. Names are not accepted: two users may share one."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        """Use Discord's user picker in slash commands."""
        return discord.AppCommandOptionType.user

    async def convert(self, ctx: commands.Context[Any], argument: str) -> discord.User:
        """Return the user in a typed argument. Raises BadArgument if there is no such user."""
        if not _ID_OR_MENTION.fullmatch(argument):
            shown = embeds.escaped(embeds.clip(argument, ARGUMENT_LENGTH))
            raise commands.BadArgument(f"“{shown}” is neither a mention nor an id.")
        try:
            return await commands.UserConverter().convert(ctx, argument)
        except commands.UserNotFound as error:
            raise commands.BadArgument(f"There is no user {embeds.escaped(argument)}.") from error

    async def transform(self, interaction: discord.Interaction[Any], value: Any, /) -> discord.User:  # noqa: ANN401 -- the library's own type
        """Return the user that Discord has already resolved."""
        return value  # type: ignore[no-any-return]


class Referrers(commands.Converter[frozenset[int]], app_commands.Transformer):
    """Several users by mention or id, separated by spaces. Slash commands have no picker for several users."""

    async def convert(self, ctx: commands.Context[Any], argument: str) -> frozenset[int]:
        """Return the users in a typed argument. Raises BadArgument if one of them does not exist."""
        words = argument.replace(",", " ").split()
        if len(words) > MAX_USERS:
            raise commands.BadArgument(f"These are {len(words)} people; name at most {MAX_USERS}.")
        return frozenset([(await Referrer().convert(ctx, word)).id for word in words])

    async def transform(self, interaction: discord.Interaction[Any], value: Any, /) -> frozenset[int]:  # noqa: ANN401 -- the library's own type
        """Return the users in a slash command's text."""
        return await self.convert(await commands.Context.from_interaction(interaction), str(value))


class Payees(Flags):
    """The payees of a batch: one referrer, only some, everyone except some, or everyone by default."""

    user: discord.User = commands.flag(
        positional=True,
        default=None,
        converter=Referrer,
        description="The one referrer to pay; leave it empty to pay everyone.",
    )
    only: frozenset[int] = commands.flag(
        default=frozenset(), converter=Referrers, description="Pay only these: mentions or ids."
    )
    exclude: frozenset[int] = commands.flag(
        default=frozenset(), converter=Referrers, description="Pay everyone except these: mentions or ids."
    )
