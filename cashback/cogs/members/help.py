"""`/help`: the list of a member's commands."""

from typing import Any

import discord
from discord import app_commands

from cashback.cogs.buttons.member_pages import Page
from cashback.cogs.members.base import MemberCog, claimed
from cashback.domain.languages import mark


class HelpCommand(MemberCog):
    """The command that lists the commands."""

    @app_commands.command(name="help", description=mark("List what you can do with the referral cashback."))
    @app_commands.guild_only()
    @claimed
    async def help(self, interaction: discord.Interaction[Any]) -> None:
        """List the commands."""
        await self._send_page(interaction, Page.HELP)
