"""`sendref-cashb schedule`: shows, pauses, resumes, skips and reloads the weekly batch."""

from typing import Any, Final

from discord import app_commands
from discord.ext import commands
from discord.ui import View

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.buttons.presses import NO_BUTTONS
from cashback.cogs.buttons.skip_slot import unskip_slot_view
from cashback.cogs.buttons.undo import RESUMED, resume_view
from cashback.cogs.texts import schedule_embeds
from cashback.database.schedule.schedule import in_force

REASON: Final = "The reason; it is recorded in the audit log."


class ScheduleCommands(AdminCog):
    """The commands about the schedule. Each shows the schedule after the change."""

    @Payouts.sendref_cashb.group(
        name="schedule",
        description="Show the next weekly batch, what it would pay now, and the outcomes of the last ones.",
        ignore_extra=False,
        case_insensitive=True,
    )
    async def schedule(self, ctx: commands.Context[Any]) -> None:
        """Show the schedule."""
        await own_commands.defer(ctx)
        await self._show_schedule(ctx, None)

    # Not the group's `fallback`: in a nested group, the library leaves it bound to an earlier cog, or unbound.
    @schedule.command(
        name="show",
        description="Show the next weekly batch, what it would pay now, and the outcomes of the last ones.",
        ignore_extra=False,
    )
    async def schedule_show(self, ctx: commands.Context[Any]) -> None:
        """Show the schedule. The picker of slash commands does not offer a group itself."""
        await own_commands.defer(ctx)
        await self._show_schedule(ctx, None)

    @schedule.command(name="pause", description="Skip every weekly batch until the schedule is resumed.", usage="why")
    @app_commands.describe(reason=REASON)
    async def pause_schedule(self, ctx: commands.Context[Any], *, reason: str = "") -> None:
        """Pause the schedule."""
        await own_commands.defer(ctx)
        await self._service.pause_schedule(actor_of(ctx.author), reason)
        done = "⏸️ **The schedule is paused.** Weekly batches are skipped until it is resumed."
        await self._show_schedule(ctx, done, resume_view(await self._database.read(in_force)))

    @schedule.command(
        name="resume", description="End a pause; weekly batches that were skipped stay skipped.", usage="why"
    )
    @app_commands.describe(reason=REASON)
    async def resume_schedule(self, ctx: commands.Context[Any], *, reason: str = "") -> None:
        """End a pause."""
        await own_commands.defer(ctx)
        await self._service.resume_schedule(actor_of(ctx.author), reason)
        await self._show_schedule(ctx, RESUMED)

    @schedule.command(name="skip", description="Skip the next weekly batch; its cashback stays pending.", usage="why")
    @app_commands.describe(reason=REASON)
    async def skip_next_slot(self, ctx: commands.Context[Any], *, reason: str = "") -> None:
        """Skip the next slot."""
        await own_commands.defer(ctx)
        slot_at = await self._service.skip_next(actor_of(ctx.author), reason)
        done = f"⏭️ **Skipped:** {schedule_embeds.moment(slot_at)}. The cashback stays pending; `unskip` undoes it."
        await self._show_schedule(ctx, done, unskip_slot_view(slot_at))

    @schedule.command(
        name="unskip", description="Undo the skip of the next skipped weekly batch, until its time passes.", usage="why"
    )
    @app_commands.describe(reason=REASON)
    async def unskip_next_slot(self, ctx: commands.Context[Any], *, reason: str = "") -> None:
        """Withdraw the skip of the next skipped slot."""
        await own_commands.defer(ctx)
        slot_at = await self._service.unskip_next(actor_of(ctx.author), reason)
        await self._show_schedule(ctx, f"▶️ **No longer skipped:** {schedule_embeds.moment(slot_at)}.")

    @schedule.command(
        name="reload",
        description="Apply the schedule of config.json; past slots do not run.",
        usage="",
        ignore_extra=False,
    )
    async def reload_schedule(self, ctx: commands.Context[Any]) -> None:
        """Reread config.json and apply its schedule."""
        await own_commands.defer(ctx)
        await self._service.reload_schedule(actor_of(ctx.author))
        await self._show_schedule(ctx, "🔄 **The schedule of config.json is in force.**")

    async def _show_schedule(self, ctx: commands.Context[Any], done: str | None, view: View = NO_BUTTONS) -> None:
        self._services.summaries_changed.set()
        schedule, pending = await self._service.schedule_overview(), await self._service.preview()
        await own_commands.answer(ctx, embed=schedule_embeds.overview(schedule, pending, done), view=view)
