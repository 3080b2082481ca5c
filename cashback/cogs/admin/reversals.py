"""`sendref-cashb reverse` and `reverse-batch`: two commands, so that a slip cannot reverse a whole batch."""

from typing import Annotated, Any

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.converters import Referrer
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.buttons.reversals import reversal_view, show
from cashback.database.payouts import batches
from cashback.domain.reason_texts import MAX_REASON_LENGTH

Reason = commands.Range[str, 1, MAX_REASON_LENGTH]


class ReversalCommands(AdminCog):
    """The commands that reverse payouts."""

    @Payouts.sendref_cashb.command(
        name="reverse",
        description="Reverse one member's payout of a batch, as far as the wallet holds it.",
        usage="BATCH-ID @user reason",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID or number.", user="The member.", reason="The reason; it is recorded.")
    @app_commands.guild_only()
    async def reverse(
        self, ctx: commands.Context[Any], batch: str, user: Annotated[discord.User, Referrer], *, reason: Reason
    ) -> None:
        """Show what would be reversed for one member, with Confirm and Cancel."""
        await self._propose(ctx, batch, user.id, reason)

    @Payouts.sendref_cashb.command(
        name="reverse-batch",
        description="Reverse all payouts of a batch, as far as the wallets hold them.",
        usage="BATCH-ID reason",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID or number.", reason="The reason; it is recorded.")
    @app_commands.guild_only()
    async def reverse_batch(self, ctx: commands.Context[Any], batch: str, *, reason: Reason) -> None:
        """Show what would be reversed of a whole batch, with Confirm and Cancel."""
        await self._propose(ctx, batch, None, reason)

    async def _propose(self, ctx: commands.Context[Any], batch: str, user_id: int | None, reason: str) -> None:
        await own_commands.defer(ctx)
        number = await self._database.read(batches.find_named, batch)
        reversal = await self._service.propose_reversal(
            actor_of(ctx.author), number, reason=reason, referrer_id=user_id
        )
        await own_commands.answer(ctx, embed=show(reversal), view=reversal_view(reversal))
