"""`sendref-cashb help`: the list of commands for the person that asks."""

from typing import Any

from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import FOR_EVERYONE, AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.command_names import admin_commands, member_commands
from cashback.cogs.texts import help_embeds


class HelpForAdmins(AdminCog):
    """The command that lists the commands."""

    @Payouts.sendref_cashb.command(
        name="help", description="List the commands.", ignore_extra=False, extras=FOR_EVERYONE
    )
    @app_commands.guild_only()
    async def help(self, ctx: commands.Context[Any]) -> None:
        """List the commands that this member may use."""
        actor = actor_of(ctx.author)
        if not self._service.may_view(actor):
            await own_commands.answer(ctx, embed=help_embeds.for_members(member_commands(ctx.bot)))
            return
        known = admin_commands(ctx.bot, only_for_viewers=not self._service.is_admin(actor))
        await own_commands.answer(ctx, embed=help_embeds.for_admins(known, ctx.clean_prefix))
