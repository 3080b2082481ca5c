"""The commands for a batch after Confirm: `sendref-cashb approve`, `stop`, `resume`, `abandon`, `retry`, `failures`.

Each answer is a message that shows the batch from then on, with its buttons.
"""

from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import VIEWERS_TOO, AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.buttons.confirm import view_of
from cashback.cogs.texts import embeds
from cashback.database.payouts import announcements, batches, proposals, retries
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchReport, BatchStatus
from cashback.domain.reason_texts import MAX_REASON_LENGTH

FAILURES_SHOWN: Final = 20
OLD_NAME: Final = "give-up"
RENAMED: Final = f"`{OLD_NAME}` is now called `abandon`; please use the new word."


class RunCommands(AdminCog):
    """The commands for batches that were approved."""

    @Payouts.sendref_cashb.command(
        name="stop", description="Stop a batch after the current chunk.", usage="BATCH-ID", ignore_extra=False
    )
    @app_commands.describe(batch="The batch's ID or number.")
    @app_commands.guild_only()
    async def stop(self, ctx: commands.Context[Any], batch: str) -> None:
        """Stop a batch and show its buttons."""
        await own_commands.defer(ctx)
        await self._show(ctx, await self._service.stop(actor_of(ctx.author), await self._number_of(batch)))

    @Payouts.sendref_cashb.command(
        name="approve",
        description="Show a batch that waits for a second admin, with its buttons.",
        usage="BATCH-ID",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID or number.")
    @app_commands.guild_only()
    async def approve(self, ctx: commands.Context[Any], batch: str) -> None:
        """Show what the second admin would approve; pressing Approve approves it."""
        await own_commands.defer(ctx)
        number = await self._number_of(batch)
        plan = await self._database.read(proposals.summary, number)
        if plan.status is not BatchStatus.PROPOSED or not plan.is_waiting:
            raise StaleBatchError(f"Batch {batch} does not wait for a second admin.")
        await self._remember(
            number,
            await own_commands.answer(
                ctx, embed=embeds.summary(plan, self._service.terms_line), view=view_of(number, plan.token, plan.status)
            ),
        )

    @Payouts.sendref_cashb.command(
        name="resume", description="Resume a stopped or unfinished batch.", usage="BATCH-ID", ignore_extra=False
    )
    @app_commands.describe(batch="The batch's ID or number.")
    @app_commands.guild_only()
    async def resume(self, ctx: commands.Context[Any], batch: str) -> None:
        """Resubmit a batch to the runner and show its progress."""
        await own_commands.defer(ctx)
        number = await self._number_of(batch)
        await self._service.resume(actor_of(ctx.author), number)
        await self._show(ctx, await self._database.read(batches.report, number))

    @Payouts.sendref_cashb.command(
        name="abandon",
        aliases=(OLD_NAME,),
        description="Abandon the rest of a stopped batch, or a finished one's failed payouts; they stay pending.",
        usage="BATCH-ID",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID or number.")
    @app_commands.guild_only()
    async def abandon(self, ctx: commands.Context[Any], batch: str) -> None:
        """Abandon the rest of a batch and show its result."""
        await own_commands.defer(ctx)
        report = await self._service.abandon(actor_of(ctx.author), await self._number_of(batch))
        await self._show(ctx, report, RENAMED if ctx.invoked_with == OLD_NAME else None)

    @Payouts.sendref_cashb.command(
        name="retry", description="Try a batch's failed payouts again.", usage="BATCH-ID why", ignore_extra=False
    )
    @app_commands.describe(batch="The batch's ID or number.", why="The reason; it is recorded.")
    @app_commands.guild_only()
    async def retry(
        self, ctx: commands.Context[Any], batch: str, *, why: commands.Range[str, 1, MAX_REASON_LENGTH] | None = None
    ) -> None:
        """Retry the failed payouts and show the progress."""
        await own_commands.defer(ctx)
        number = await self._number_of(batch)
        await self._show(ctx, await self._service.retry(actor_of(ctx.author), number, why=why))

    @Payouts.sendref_cashb.command(
        name="failures",
        description="List the failed payouts that are neither retried nor abandoned.",
        ignore_extra=False,
        extras=VIEWERS_TOO,
    )
    @app_commands.guild_only()
    async def failures(self, ctx: commands.Context[Any]) -> None:
        """List the failed payouts that wait for a retry or to be abandoned."""
        found = await self._database.read(retries.open_failures, limit=FAILURES_SHOWN)
        count = await self._database.read(retries.count_open_failures)
        await own_commands.answer(ctx, embed=embeds.open_failures(found, count))

    async def _number_of(self, batch: str) -> int:
        return await self._database.read(batches.find_named, batch)

    async def _show(self, ctx: commands.Context[Any], report: BatchReport, note: str | None = None) -> None:
        """Answer with a message that the summary updater keeps up to date; `note` stands above it."""
        number = report.batch_number
        if report.status is BatchStatus.STOPPED:
            message = await own_commands.answer(
                ctx, note, embed=embeds.stopped(report), view=view_of(number, report.token, report.status)
            )
        elif report.finished_at is None:
            message = await own_commands.answer(
                ctx, note, embed=embeds.progress(report), view=view_of(number, report.token, report.status)
            )
        else:
            message = await own_commands.answer(ctx, note, embed=embeds.result(report)[0])
        await self._remember(number, message)

    async def _remember(self, number: int, message: discord.Message) -> None:
        await self._database.write(
            announcements.remember_summary, number, channel_id=message.channel.id, message_id=message.id
        )
        self._services.summaries_changed.set()
