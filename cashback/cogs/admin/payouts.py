"""`sendref-cashb`: shows what everyone, or one referrer, would be paid, with Confirm and Cancel."""

from typing import Any

from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import AdminCog, hidden_from_members
from cashback.cogs.admin.converters import Payees
from cashback.cogs.buttons.confirm import confirm_view
from cashback.cogs.texts import embeds
from cashback.database.payouts import announcements
from cashback.domain.errors import NothingPendingError
from cashback.domain.model import Selection
from cashback.services import EVERYONE


class Payouts(AdminCog):
    """The command that proposes a batch. Payment starts when the admin presses Confirm.

    It is also the group of the other subcommands.
    """

    # The payees are flags: a word that is neither a user nor a flag is an error, never a batch for everyone.
    @own_commands.group(
        name="sendref-cashb",
        fallback="pay",
        description="Pay pending referral cashback to everyone, or to one referrer.",
        usage="@user`, `--only @user …`, `--exclude @user …",
        ignore_extra=False,
        case_insensitive=True,
    )
    @hidden_from_members
    @app_commands.guild_only()
    async def sendref_cashb(self, ctx: commands.Context[Any], *, payees: Payees) -> None:
        """Plan a batch and show its summary."""
        await own_commands.defer(ctx)
        user_id = payees.user.id if payees.user else None
        selection = Selection(only=payees.only, exclude=payees.exclude)
        try:
            summary = await self._service.propose(actor_of(ctx.author), target_user_id=user_id, selection=selection)
        except NothingPendingError as nothing:
            if user_id is not None or selection != EVERYONE:
                raise
            await own_commands.answer(ctx, embed=embeds.notice(str(nothing)))
            return
        message = await own_commands.answer(
            ctx,
            embed=embeds.summary(summary, self._service.terms_line),
            view=confirm_view(summary.batch_number, summary.token),
        )
        await self._database.write(
            announcements.remember_summary,
            summary.batch_number,
            channel_id=message.channel.id,
            message_id=message.id,
        )
        self._services.summaries_changed.set()
