"""What becomes of a batch after its Confirm: `sendref-cashb approve`, `stop`, `resume`, `give-up`, `retry`, `failures`.

The answer to each is a message that shows the batch from then on, with the buttons that it has.
"""

from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.admin.base import VIEWERS_TOO, AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.buttons.confirm import view_of
from cashback.cogs.buttons.presses import actor_of
from cashback.cogs.texts import embeds
from cashback.database.payouts import announcements, batches, proposals, retries
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchReport, BatchStatus

FAILURES_SHOWN: Final = 20
WHY_LENGTH: Final = 200


class RunCommands(AdminCog):
    """Commands for batches that were approved."""

    @Payouts.sendref_cashb.command(  # type: ignore[arg-type]  # mypy does not see through the union of callbacks
        name="stop", description="Stop a batch after the chunk in hand.", usage="BATCH-ID", ignore_extra=False
    )
    @app_commands.describe(batch="The batch's ID, or its number.")
    @app_commands.guild_only()
    async def stop(self, ctx: commands.Context[Any], batch: str) -> None:
        """Stop a batch and show what may be done with the rest."""
        await ctx.defer()
        await self._show(ctx, await self._service.stop(actor_of(ctx.author), await self._number_of(batch)))

    @Payouts.sendref_cashb.command(  # type: ignore[arg-type]
        name="approve",
        description="Show a batch that waits for a second admin, with the buttons that decide on it.",
        usage="BATCH-ID",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID, or its number.")
    @app_commands.guild_only()
    async def approve(self, ctx: commands.Context[Any], batch: str) -> None:
        """Show what the second admin is to approve; the press of the button approves it."""
        await ctx.defer()
        number = await self._number_of(batch)
        plan = await self._database.read(proposals.summary, number)
        if plan.status is not BatchStatus.PROPOSED or not plan.is_waiting:
            raise StaleBatchError(f"Batch {batch} waits for no second admin.")
        await self._remember(number, await ctx.send(embed=embeds.summary(plan), view=view_of(number, plan.status)))

    @Payouts.sendref_cashb.command(  # type: ignore[arg-type]
        name="resume", description="Go on with a stopped or unfinished batch.", usage="BATCH-ID", ignore_extra=False
    )
    @app_commands.describe(batch="The batch's ID, or its number.")
    @app_commands.guild_only()
    async def resume(self, ctx: commands.Context[Any], batch: str) -> None:
        """Hand a batch to the runner again and show how it goes on."""
        await ctx.defer()
        number = await self._number_of(batch)
        await self._service.resume(actor_of(ctx.author), number)
        await self._show(ctx, await self._database.read(batches.report, number))

    @Payouts.sendref_cashb.command(  # type: ignore[arg-type]
        name="give-up",
        description="End a stopped batch, or give up a finished one's failed payouts; they stay pending.",
        usage="BATCH-ID",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID, or its number.")
    @app_commands.guild_only()
    async def give_up(self, ctx: commands.Context[Any], batch: str) -> None:
        """Give up the rest of a batch and show its result."""
        await ctx.defer()
        await self._show(ctx, await self._service.abandon(actor_of(ctx.author), await self._number_of(batch)))

    @Payouts.sendref_cashb.command(  # type: ignore[arg-type]
        name="retry", description="Try a batch's failed payouts again.", usage="BATCH-ID why", ignore_extra=False
    )
    @app_commands.describe(batch="The batch's ID, or its number.", why="Why now; it is kept.")
    @app_commands.guild_only()
    async def retry(
        self, ctx: commands.Context[Any], batch: str, *, why: commands.Range[str, 1, WHY_LENGTH] | None = None
    ) -> None:
        """Plan the failed payouts anew and show how they go."""
        await ctx.defer()
        number = await self._number_of(batch)
        await self._show(ctx, await self._service.retry(actor_of(ctx.author), number, why=why))

    @Payouts.sendref_cashb.command(  # type: ignore[arg-type]
        name="failures",
        description="List the failed payouts that nobody has dealt with yet.",
        ignore_extra=False,
        extras=VIEWERS_TOO,
    )
    @app_commands.guild_only()
    async def failures(self, ctx: commands.Context[Any]) -> None:
        """List what a retry or a give-up waits for."""
        found = await self._database.read(retries.open_failures, limit=FAILURES_SHOWN)
        count = await self._database.read(retries.count_open_failures)
        await ctx.send(embed=embeds.open_failures(found, count))

    async def _number_of(self, batch: str) -> int:
        return await self._database.read(batches.find_named, batch)

    async def _show(self, ctx: commands.Context[Any], report: BatchReport) -> None:
        """Answer with a message that the announcer keeps up to date from now on."""
        number = report.batch_number
        if report.status is BatchStatus.STOPPED:
            message = await ctx.send(embed=embeds.stopped(report), view=view_of(number, report.status))
        elif report.finished_at is None:
            message = await ctx.send(embed=embeds.progress(report), view=view_of(number, report.status))
        else:
            message = await ctx.send(embed=embeds.result(report)[0])
        await self._remember(number, message)

    async def _remember(self, number: int, message: discord.Message) -> None:
        await self._database.write(
            announcements.remember_summary, number, channel_id=message.channel.id, message_id=message.id
        )
        self._bell.set()
