"""`sendref-cashb`: shows what everyone, or one referrer, would be paid, with the two buttons that decide it."""

import re
from typing import Annotated, Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cogs import embeds
from cogs.admin.base import AdminCog
from cogs.confirm import CashbackConfirmView
from cogs.presses import actor_of
from database import announcements
from pipeline.errors import NothingPendingError

ARGUMENT_LENGTH: Final = 60
_ID_OR_MENTION: Final = re.compile(r"<@!?[0-9]{15,20}>|[0-9]{15,20}")


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

    async def transform(self, interaction: discord.Interaction[Any], value: Any, /) -> discord.User:  # noqa: ANN401
        """Take the person that Discord has found already."""
        return value  # type: ignore[no-any-return]


class Payouts(AdminCog):
    """The command that proposes a batch. Paying is the desk's matter and starts with a press of Confirm.

    It is also the group of all other commands for admins: their cogs add to it.
    """

    # A user that is None by default and an error otherwise: with `User | None` a mistyped mention would pay everyone.
    @commands.hybrid_group(  # type: ignore[arg-type]  # mypy does not see through the library's union of callbacks
        name="sendref-cashb",
        fallback="pay",
        description="Pay pending referral cashback to everyone, or to one referrer.",
        usage="@user",
        ignore_extra=False,
    )
    @app_commands.describe(user="The one referrer to pay; leave it out to pay everyone.")
    @app_commands.guild_only()
    async def sendref_cashb(
        self,
        ctx: commands.Context[Any],
        user: Annotated[discord.User, Referrer] = None,  # type: ignore[assignment]
    ) -> None:
        """Plan a batch and show its summary."""
        await ctx.defer()
        try:
            summary = await self._desk.propose(actor_of(ctx.author), target_user_id=user.id if user else None)
        except NothingPendingError as nothing:
            if user is not None:
                raise
            await ctx.send(embed=embeds.notice(str(nothing)))
            return
        message = await ctx.send(embed=embeds.summary(summary), view=CashbackConfirmView(summary.batch_number))
        await self._database.write(
            announcements.remember_summary,
            summary.batch_number,
            channel_id=message.channel.id,
            message_id=message.id,
        )
        self._bell.ring()
