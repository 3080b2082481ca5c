"""`withdrawals`: the queue of what members asked to withdraw, a message with buttons for each."""

from typing import Any, Final

from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import AdminCog, hidden_from_members
from cashback.cogs.buttons.withdrawals import withdrawal_view
from cashback.cogs.texts import embeds, wallet_embeds
from cashback.domain.money import dollars

SHOWN: Final = 5
"""Discord slows a bot down that sends more messages at once. Decided ones make room for the next."""


class WithdrawalCommands(AdminCog):
    """The command for members' withdrawals."""

    @own_commands.command(
        name="withdrawals",
        description="Show what members asked to withdraw, oldest first, with buttons for each.",
        ignore_extra=False,
    )
    @hidden_from_members
    @app_commands.guild_only()
    async def withdrawals(self, ctx: commands.Context[Any]) -> None:
        """Send a message for each of the oldest open requests."""
        await own_commands.defer(ctx)
        queue = await self._service.withdrawal_queue(actor_of(ctx.author))
        total = sum(each.amount_cents for each in queue)
        text = f"{embeds.counted(len(queue), 'open withdrawal')}, {dollars(total)}."
        if len(queue) > SHOWN:
            text += f" The oldest {SHOWN} follow; ask again when they are decided."
        await own_commands.answer(ctx, embed=embeds.notice(text))
        for each in queue[:SHOWN]:
            await ctx.send(embed=wallet_embeds.withdrawal(each), view=withdrawal_view(each))
