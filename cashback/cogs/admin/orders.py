"""`sendref-cashb order`: one order with what it earned and why the rest is not paid."""

from typing import Any

from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.admin.base import VIEWERS_TOO, AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.texts import order_embeds
from cashback.domain.errors import CashbackError
from cashback.shops.ids import check_order_id


class OrderCommands(AdminCog):
    """The command about one order."""

    @Payouts.sendref_cashb.command(
        name="order",
        description="One order: who bought, what it earned, and what was paid of it.",
        usage="ORDER-ID",
        extras=VIEWERS_TOO,
    )
    @app_commands.describe(order_id="The shop's id of the order.")
    @app_commands.rename(order_id="order")
    @app_commands.guild_only()
    async def order(self, ctx: commands.Context[Any], *, order_id: str) -> None:
        """Show an order, of each shop that has one with this id."""
        await own_commands.defer(ctx)
        found = await self._service.find_orders(check_order_id(order_id))
        if not found:
            raise CashbackError(f"Order {order_id} is not known; check the id.")
        shown = [order_embeds.order(order, self._database.now()) for order in found[: order_embeds.MOST_SHOWN]]
        await own_commands.answer(ctx, embed=shown[0])
        for further in shown[1:]:
            await ctx.send(embed=further)
