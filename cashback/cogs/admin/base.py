"""The base of the commands for admins: their services, and the authorization check before each command."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from discord import app_commands
from discord.ext import commands

from cashback.background.wakeup import WakeUp
from cashback.cogs.actors import actor_of
from cashback.cogs.buttons.history_pager import HistoryPager
from cashback.cogs.errors import RefusedError
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.gateway.doctor import Doctor
from cashback.cogs.gateway.name_check import note_name_if_old
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.own_commands import OwnCog
from cashback.cogs.posts.note_sender import NoteSender
from cashback.database import Database
from cashback.domain.errors import NotAllowedError
from cashback.services import AdminService

VIEWERS_TOO: Final = {"viewers_too": True}
"""The `extras` of a command that viewers may use too."""

FOR_EVERYONE: Final = {"for_everyone": True}
"""The `extras` of a command that needs no role."""

hidden_from_members = app_commands.default_permissions(manage_guild=True)
"""Discord shows a command to members that manage the server; the server's own settings may add the admin role.

It only hides: the admin role is checked at every command.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandServices:
    """What the commands for admins work with. `post_line` posts a line in the audit channel.

    `restart` starts the program again with the configuration as it is then; None if another bot decides about that.
    """

    claims: Claims
    database: Database
    service: AdminService
    summaries_changed: WakeUp
    member_facts: MemberFacts
    note_sender: NoteSender
    history_pager: HistoryPager
    doctor: Doctor
    post_line: Callable[[str], Awaitable[None]]
    restart: Callable[[], None] | None = None


class AdminCog(OwnCog):
    """A part of the commands for admins. `AdminCommands` joins the parts: the library binds a group within one cog."""

    def __init__(self, services: CommandServices) -> None:
        super().__init__(services.claims)
        self._services = services
        self._database = services.database
        self._service = services.service

    async def cog_check(self, ctx: commands.Context[Any]) -> bool:
        """Refuse members without the admin role, or the viewer role if it is enough, before arguments are parsed.

        The audit log records the attempt.
        """
        if ctx.guild is None:
            raise commands.NoPrivateMessage
        name = ctx.command.qualified_name if ctx.command else "a command"
        if ctx.command is not None and ctx.command.extras.get("for_everyone"):
            return True
        for_viewers = ctx.command is not None and bool(ctx.command.extras.get("viewers_too"))
        actor = actor_of(ctx.author)
        if self._is_for_help(ctx):
            return self._service.may_view(actor) if for_viewers else self._service.is_admin(actor)
        try:
            require = self._service.require_viewer if for_viewers else self._service.require_admin
            await require(actor, f"use {name}")
        except NotAllowedError as error:
            raise RefusedError(f"{error} Your attempt was recorded.") from error
        if self._service.has_dashboard:
            await note_name_if_old(self._database, ctx.author)
        return True

    def _is_for_help(self, ctx: commands.Context[Any]) -> bool:
        """Return whether another command asks which ones it may list: a help command, in its own context."""
        asked, command = (ctx.invoked_with or "").lower(), ctx.command
        if command is None or ctx.cog is not self:
            return True
        return ctx.interaction is None and asked not in {name.lower() for name in (command.name, *command.aliases)}
