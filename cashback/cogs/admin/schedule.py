"""`sendref-cashb schedule`: when the weekly batch comes, and pausing, resuming, skipping and reloading it."""

from typing import Any

from discord import app_commands
from discord.ext import commands

from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.buttons.presses import actor_of
from cashback.cogs.texts import schedule_embeds

WHY = "Why; it is kept in the audit log."


class ScheduleCommands(AdminCog):
    """Each command acts through the service and shows the schedule as it is then."""

    @Payouts.sendref_cashb.group(  # type: ignore[arg-type]  # as in payouts.py
        name="schedule",
        description="When the weekly batch comes, what it would pay now, and what became of the last ones.",
        ignore_extra=False,
    )
    async def schedule(self, ctx: commands.Context[Any]) -> None:
        """Show the schedule."""
        await ctx.defer()
        await self._show_schedule(ctx, None)

    # Not the group's `fallback`: the library leaves that of a group within a group bound to an earlier cog, or to none.
    @schedule.command(  # type: ignore[arg-type]
        name="show", description="The schedule: what comes next, what it would pay now, what became of the last slots."
    )
    async def schedule_show(self, ctx: commands.Context[Any]) -> None:
        """Show the schedule, for the picker of slash commands, where a group itself cannot be chosen."""
        await ctx.defer()
        await self._show_schedule(ctx, None)

    @schedule.command(  # type: ignore[arg-type]
        name="pause", description="Skip every weekly batch until the schedule is resumed.", usage="why"
    )
    @app_commands.describe(reason=WHY)
    async def pause_schedule(self, ctx: commands.Context[Any], *, reason: str = "") -> None:
        """Pause the schedule."""
        await ctx.defer()
        await self._service.pause_schedule(actor_of(ctx.author), reason)
        await self._show_schedule(ctx, "⏸️ **The schedule is paused.** Slots that come are skipped until it is resumed.")

    @schedule.command(  # type: ignore[arg-type]
        name="resume", description="End a pause; slots that passed meanwhile stay skipped.", usage="why"
    )
    @app_commands.describe(reason=WHY)
    async def resume_schedule(self, ctx: commands.Context[Any], *, reason: str = "") -> None:
        """End a pause."""
        await ctx.defer()
        await self._service.resume_schedule(actor_of(ctx.author), reason)
        await self._show_schedule(ctx, "▶️ **The schedule is resumed.**")

    @schedule.command(  # type: ignore[arg-type]
        name="skip", description="Skip the next weekly batch; its cashback stays pending.", usage="why"
    )
    @app_commands.describe(reason=WHY)
    async def skip_next_slot(self, ctx: commands.Context[Any], *, reason: str = "") -> None:
        """Skip the next slot."""
        await ctx.defer()
        slot_at = await self._service.skip_next(actor_of(ctx.author), reason)
        await self._show_schedule(ctx, f"⏭️ **Skipped:** {schedule_embeds.moment(slot_at)}. The cashback stays pending.")

    @schedule.command(  # type: ignore[arg-type]
        name="reload", description="Put the schedule of config.json in force; nothing that is past fires.", usage=""
    )
    async def reload_schedule(self, ctx: commands.Context[Any]) -> None:
        """Read config.json anew and put its schedule in force."""
        await ctx.defer()
        await self._service.reload_schedule(actor_of(ctx.author))
        await self._show_schedule(ctx, "🔄 **The schedule of config.json is in force.**")

    async def _show_schedule(self, ctx: commands.Context[Any], done: str | None) -> None:
        self._bell.set()
        schedule, pending = await self._service.schedule_overview(), await self._service.preview()
        await ctx.send(embed=schedule_embeds.overview(schedule, pending, done))
