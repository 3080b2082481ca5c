"""`sendref-cashb status`: checks the setup and explains how to fix problems."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.gateway.doctor import Finding
from cashback.cogs.texts import embeds


class StatusCommands(AdminCog):
    """The command that checks the setup."""

    @Payouts.sendref_cashb.command(
        name="status",
        description="Check the setup and explain how to fix problems.",
        ignore_extra=False,
    )
    @app_commands.guild_only()
    async def status(self, ctx: commands.Context[Any]) -> None:
        """Check the ledger and Discord."""
        await own_commands.defer(ctx)
        doctor = self._services.doctor
        await own_commands.answer(
            ctx, embed=show([*await doctor.examine_ledger(), *await doctor.examine_discord(ctx.bot)])
        )


def show(findings: list[Finding]) -> discord.Embed:
    """Return the findings, a line each."""
    is_well = all(finding.is_well for finding in findings)
    colour = discord.Colour.green() if is_well else discord.Colour.orange()
    title = "🩺 All Is Well" if is_well else "🩺 Something Needs Attention"
    lines = [
        f"{'✅' if each.is_well else '⚠️'} **{each.name.capitalize()}:** {embeds.readable(each.text)}"
        for each in findings
    ]
    return discord.Embed(title=title, description=embeds.clip("\n".join(lines), 4096), colour=colour)
