"""What the commands for admins share: what they act on, and the check that comes before all else."""

from typing import Any

from discord.ext import commands

from cogs.confirm import actor_of
from cogs.errors import RefusedError
from cogs.runs import Bell
from database import Database
from desk import Desk
from pipeline.errors import NotAllowedError


class AdminCog(commands.Cog):
    """A part of the commands for admins. `AdminCommands` joins the parts: the library binds a group within one cog."""

    def __init__(self, database: Database, desk: Desk, bell: Bell) -> None:
        """Take the ledger, the desk, and the bell that wakes the announcer."""
        self._database = database
        self._desk = desk
        self._bell = bell

    async def cog_check(self, ctx: commands.Context[Any]) -> bool:
        """Refuse whoever is no admin, before anything of the command is looked at; the audit log knows of it."""
        if ctx.guild is None:
            raise commands.NoPrivateMessage
        name = ctx.command.qualified_name if ctx.command else "a command"
        try:
            await self._desk.require_admin(actor_of(ctx.author), f"use {name}")
        except NotAllowedError as error:
            raise RefusedError(f"{error} Your attempt was recorded.") from error
        return True
