"""`sendref-cashb reverse` and `reverse-batch`: take credited cashback back. Two commands, so that no slip takes all."""

from typing import Annotated, Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.converters import Referrer
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.buttons.presses import actor_of
from cashback.cogs.buttons.reversals import ReversalView, show
from cashback.database.payouts import batches

LONGEST_REASON: Final = 200
Reason = commands.Range[str, 1, LONGEST_REASON]


class ReversalCommands(AdminCog):
    """Commands that take payouts back."""

    @Payouts.sendref_cashb.command(  # type: ignore[arg-type]  # mypy does not see through the union of callbacks
        name="reverse",
        description="Take one member's payout of a batch back, as far as the wallet holds it.",
        usage="BATCH-ID @user reason",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID, or its number.", user="Whose payout.", reason="Why; it is kept.")
    @app_commands.guild_only()
    async def reverse(
        self, ctx: commands.Context[Any], batch: str, user: Annotated[discord.User, Referrer], *, reason: Reason
    ) -> None:
        """Show what would be taken back from one member, with the buttons that decide it."""
        await self._propose(ctx, batch, user.id, reason)

    @Payouts.sendref_cashb.command(  # type: ignore[arg-type]
        name="reverse-batch",
        description="Take all that a batch credited back, as far as the wallets hold it.",
        usage="BATCH-ID reason",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID, or its number.", reason="Why; it is kept.")
    @app_commands.guild_only()
    async def reverse_batch(self, ctx: commands.Context[Any], batch: str, *, reason: Reason) -> None:
        """Show what would be taken back of a whole batch, with the buttons that decide it."""
        await self._propose(ctx, batch, None, reason)

    async def _propose(self, ctx: commands.Context[Any], batch: str, user_id: int | None, reason: str) -> None:
        await ctx.defer()
        number = await self._database.read(batches.find_named, batch)
        reversal = await self._service.propose_reversal(
            actor_of(ctx.author), number, reason=reason, referrer_id=user_id
        )
        await ctx.send(embed=show(reversal), view=ReversalView(reversal))
