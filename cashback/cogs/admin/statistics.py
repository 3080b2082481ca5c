"""`sendref-cashb stats`: the distributed cashback, as text and as a chart."""

import io
from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback import charts
from cashback.cogs import own_commands
from cashback.cogs.admin.base import VIEWERS_TOO, AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.texts import embeds
from cashback.database.queries import statistics
from cashback.database.queries.statistics import Statistics, TopReferrer
from cashback.domain.extras import MissingLibraryError
from cashback.domain.money import dollars, grouped

CHART: Final = "cashback-by-week.png"
ALT_LENGTH: Final = 1024


class StatisticsCommands(AdminCog):
    """The command that shows statistics."""

    @Payouts.sendref_cashb.command(
        name="stats",
        description="Show the distributed cashback by week, on average, and the top referrers.",
        ignore_extra=False,
        extras=VIEWERS_TOO,
    )
    @app_commands.guild_only()
    async def stats(self, ctx: commands.Context[Any]) -> None:
        """Show the statistics with their chart."""
        await own_commands.defer(ctx)
        found = await self._database.read(statistics.read, now=self._database.now())
        try:
            picture = await charts.weekly_apart(found.weeks)
        except MissingLibraryError as error:
            await own_commands.answer(ctx, embed=show(found).set_footer(text=str(error)))
            return
        alt = embeds.clip(charts.alt_text(found.weeks), ALT_LENGTH)

        def chart() -> discord.File:
            return discord.File(io.BytesIO(picture), filename=CHART, description=alt)

        await own_commands.answer(ctx, embed=show(found).set_image(url=f"attachment://{CHART}"), open_file=chart)


def show(found: Statistics) -> discord.Embed:
    """Return the statistics' embed."""
    embed = discord.Embed(title="📈 Referral Cashback Statistics", colour=discord.Colour.blurple())
    this_week = found.weeks[-1].paid_cents if found.weeks else 0
    embed.add_field(name="Distributed", value=dollars(found.paid_cents), inline=True)
    if found.reversed_cents:
        embed.add_field(name="Reversed", value=dollars(found.reversed_cents), inline=True)
        embed.add_field(name="Net", value=dollars(found.net_cents), inline=True)
    embed.add_field(name="This Week", value=dollars(this_week), inline=True)
    embed.add_field(name="Users Paid", value=grouped(found.users), inline=True)
    embed.add_field(name="Average Per User", value=dollars(found.average_cents), inline=True)
    embed.add_field(name="Payouts", value=grouped(found.payouts), inline=True)
    if found.top:
        lines = [
            f"{place}. {embeds.mention(top.referrer_id)} - {dollars(top.net_cents)}"
            f" ({embeds.counted(top.payouts, 'payout')}{_reversed(top)})"
            for place, top in enumerate(found.top, start=1)
        ]
        embed.add_field(name="🏆 Top Referrers", value=embeds.clip("\n".join(lines), 1024), inline=False)
    return embed


def _reversed(top: TopReferrer) -> str:
    return f", {dollars(top.reversed_cents)} reversed" if top.reversed_cents else ""
