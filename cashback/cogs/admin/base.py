"""What the commands for admins share: what they act on, and the check that comes before all else."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from discord.ext import commands

from cashback.background.wakeup import WakeUp
from cashback.cogs.buttons.presses import actor_of
from cashback.cogs.errors import RefusedError
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.posts.note_sender import NoteSender
from cashback.database import Database
from cashback.domain.errors import NotAllowedError
from cashback.services import AdminService

Tell = Callable[[str], Awaitable[None]]

VIEWERS_TOO: Final = {"viewers_too": True}
"""What a command's `extras` say where who only looks may use it."""


class AdminCog(commands.Cog):
    """A part of the commands for admins. `AdminCommands` joins the parts: the library binds a group within one cog."""

    def __init__(
        self,
        database: Database,
        service: AdminService,
        bell: WakeUp,
        programme: MemberFacts,
        courier: NoteSender,
        tell: Tell,
    ) -> None:
        """Take the ledger, the service, the bell that wakes the announcer, and those who know and tell.

        `programme` knows the facts about a member, `courier` sends notes to members, `tell` says a line in the audit
        channel.
        """
        self._database = database
        self._service = service
        self._bell = bell
        self._programme = programme
        self._courier = courier
        self._tell = tell

    async def cog_check(self, ctx: commands.Context[Any]) -> bool:
        """Refuse whoever is no admin, or no viewer where that is enough, before anything of the command is looked at.

        The audit log knows of the attempt.
        """
        if ctx.guild is None:
            raise commands.NoPrivateMessage
        name = ctx.command.qualified_name if ctx.command else "a command"
        try:
            for_viewers = ctx.command is not None and bool(ctx.command.extras.get("viewers_too"))
            require = self._service.require_viewer if for_viewers else self._service.require_admin
            await require(actor_of(ctx.author), f"use {name}")
        except NotAllowedError as error:
            raise RefusedError(f"{error} Your attempt was recorded.") from error
        return True
