"""The base of the commands for members: private answers within Discord's three seconds, and error replies."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.buttons.member_pages import Asked, Page, member_page
from cashback.cogs.errors import DISCORD_FAILURES, answer_interaction_error
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.posts.note_sender import NoteSender
from cashback.database import Database
from cashback.database.payouts import absences
from cashback.database.referral_program import preferences
from cashback.domain.errors import CashbackError
from cashback.domain.languages import language_of, speak
from cashback.services import AdminService


class MemberCog(commands.Cog):
    """A part of the commands for members. `MemberCommands` joins the parts."""

    def __init__(
        self, database: Database, service: AdminService, member_facts: MemberFacts, note_sender: NoteSender
    ) -> None:
        self._database = database
        self._service = service
        self._member_facts = member_facts
        self._note_sender = note_sender

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Defer the answer, privately, and note the language. A member at a command is back, so an absence ends."""
        language = language_of(str(interaction.locale))
        speak(language)
        try:
            if not interaction.response.is_done():
                await interaction.response.defer(ephemeral=True)
            if await self._database.read(preferences.language_of, interaction.user.id) != language:
                await self._database.write(preferences.note_language, interaction.user.id, language)
            if await self._database.read(absences.absence_of, interaction.user.id) is not None:
                await self._database.write(absences.note_return, interaction.user.id)
        except (CashbackError, *DISCORD_FAILURES) as error:
            # The library lets only its own errors out of a check.
            raise app_commands.CommandInvokeError(interaction.command, error) from error  # type: ignore[arg-type]
        return True

    async def _send_page(self, interaction: discord.Interaction[Any], page: Page) -> discord.Embed:
        """Send a page to the member, with its buttons; return it."""
        asked = Asked(
            user_id=interaction.user.id,
            client=interaction.client,
            member_facts=self._member_facts,
            service=self._service,
        )
        embed, view = await member_page(page, asked)
        await interaction.followup.send(embed=embed, view=view, ephemeral=True)
        return embed

    async def cog_app_command_error(
        self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError
    ) -> None:
        """Answer a command that failed."""
        await answer_interaction_error(interaction, error)
