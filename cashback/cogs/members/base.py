"""The base of the commands for members: private answers within Discord's three seconds, and error replies."""

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import discord
from discord import app_commands

from cashback.cogs.buttons.member_pages import Asked, Page, member_page
from cashback.cogs.errors import answer_interaction_error
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.own_commands import OwnCog
from cashback.cogs.posts.note_sender import NoteSender
from cashback.database import Database
from cashback.database.payouts import absences
from cashback.database.referral_program import preferences
from cashback.domain.languages import language_of, speak
from cashback.services import AdminService

P = ParamSpec("P")
Cog = TypeVar("Cog", bound="MemberCog")


class MemberCog(OwnCog):
    """A part of the commands for members. `MemberCommands` joins the parts."""

    def __init__(
        self,
        database: Database,
        service: AdminService,
        member_facts: MemberFacts,
        note_sender: NoteSender,
        claims: Claims,
    ) -> None:
        super().__init__(claims)
        self._database = database
        self._service = service
        self._member_facts = member_facts
        self._note_sender = note_sender

    async def begin(self, interaction: discord.Interaction[Any]) -> bool:
        """Claim the command; return False if another process acts on it.

        The answer is deferred, privately, and the language noted. A member at a command is back, so an absence ends.
        """
        if not await self._claims.win_interaction(interaction):
            return False
        language = language_of(str(interaction.locale))
        speak(language)
        if not interaction.response.is_done():
            await interaction.response.defer(ephemeral=True)
        if await self._database.read(preferences.language_of, interaction.user.id) != language:
            await self._database.write(preferences.note_language, interaction.user.id, language)
        if await self._database.read(absences.absence_of, interaction.user.id) is not None:
            await self._database.write(absences.note_return, interaction.user.id)
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
        """Answer a command with arguments that cannot be read."""
        await answer_interaction_error(interaction, error)


def claimed(
    act: Callable[Concatenate[Cog, discord.Interaction[Any], P], Awaitable[None]],
) -> Callable[Concatenate[Cog, discord.Interaction[Any], P], Coroutine[Any, Any, None]]:
    """Let a command act if this process claims it first, and answer its errors here.

    Neither is left to the library's checks: what they raise goes to the error handler of the bot we run in.
    """

    @functools.wraps(act)
    async def answer(
        cog: Cog, interaction: discord.Interaction[Any], /, *arguments: P.args, **options: P.kwargs
    ) -> None:
        try:
            if await cog.begin(interaction):
                await act(cog, interaction, *arguments, **options)
        except Exception as error:  # noqa: BLE001 -- the one boundary of a command; the unexpected goes to the log
            await answer_interaction_error(interaction, error)

    return answer
