"""`sendref-cashb dashboard`: a link that signs an admin or a viewer in to the dashboard once."""

from typing import Any

from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import VIEWERS_TOO, AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.errors import DISCORD_FAILURES, RefusedError
from cashback.cogs.texts import embeds


class DashboardLink(AdminCog):
    """Sends the link by direct message: other members of the channel must not see it."""

    @Payouts.sendref_cashb.command(
        name="dashboard",
        description="Get a link to the dashboard that works once, for five minutes.",
        ignore_extra=False,
        extras=VIEWERS_TOO,
    )
    async def dashboard(self, ctx: commands.Context[Any]) -> None:
        """Send the link."""
        if not self._service.has_dashboard:
            raise RefusedError("The dashboard is switched off: dashboard.enabled in config.json is false.")
        await own_commands.defer(ctx, ephemeral=True)
        address = await self._service.issue_link(actor_of(ctx.author))
        try:
            # Discord shows no preview of a link in angle brackets.
            await ctx.author.send(f"Your link to the dashboard works once, for five minutes: <{address}>")
        except DISCORD_FAILURES as error:
            raise RefusedError(
                "You do not accept direct messages from this server; allow them, then ask again."
            ) from error
        await own_commands.answer(ctx, embed=embeds.notice("The link is in your direct messages."), ephemeral=True)
