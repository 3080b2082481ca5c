"""What the commands for members share: private answers within Discord's three seconds, and errors told to who asked."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.errors import DISCORD_FAILURES, answer_interaction_error
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.posts.note_sender import NoteSender
from cashback.database import Database
from cashback.database.payouts import absences
from cashback.domain.errors import CashbackError
from cashback.services import AdminService


class MemberCog(commands.Cog):
    """A part of the commands for members. `MemberCommands` joins the parts."""

    def __init__(self, database: Database, service: AdminService, programme: MemberFacts, courier: NoteSender) -> None:
        """Take the ledger, the service, who knows the facts about a member, and who sends notes."""
        self._database = database
        self._service = service
        self._programme = programme
        self._courier = courier

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Answer at once, for one pair of eyes. Who asks is here, whatever was noted before."""
        try:
            if not interaction.response.is_done():
                await interaction.response.defer(ephemeral=True)
            if await self._database.read(absences.absence_of, interaction.user.id) is not None:
                await self._database.write(absences.note_return, interaction.user.id)
        except (CashbackError, *DISCORD_FAILURES) as error:
            # The library lets only its own errors out of a check.
            raise app_commands.CommandInvokeError(interaction.command, error) from error  # type: ignore[arg-type]
        return True

    async def cog_app_command_error(
        self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError
    ) -> None:
        """Tell who asked what went wrong."""
        await answer_interaction_error(interaction, error)
