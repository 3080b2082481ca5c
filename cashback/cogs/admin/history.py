"""`sendref-cashb history` and `show`: past batches, and one batch with its payouts, in pages."""

from typing import Annotated, Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.admin.base import VIEWERS_TOO, AdminCog
from cashback.cogs.admin.converters import Referrer
from cashback.cogs.admin.flags import Flags
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.gateway.claims import note_answered
from cashback.database.payouts import batches
from cashback.database.queries import history
from cashback.database.queries.history import BatchFilter, status_named
from cashback.domain.days import first_moment, moment_after

SUGGESTED: Final = 25

Page = commands.Range[int, 1, 100_000]


class HistoryOptions(Flags):
    """The filter of the batches."""

    state: str | None = commands.flag(default=None, description="Only in this state, for example completed.")
    person: Annotated[discord.User, Referrer] | None = commands.flag(
        default=None, description="Only with a payout to this member."
    )
    since: str | None = commands.flag(name="from", default=None, description="From this day, for example 2026-07-03.")
    until: str | None = commands.flag(name="to", default=None, description="Up to and including this day.")


class HistoryCommands(AdminCog):
    """The commands about past batches."""

    @Payouts.sendref_cashb.command(
        name="history",
        description="Past batches, newest first.",
        usage="2 --state completed --person @user --from 2026-07-01 --to 2026-07-31",
        ignore_extra=False,
        extras=VIEWERS_TOO,
    )
    @app_commands.describe(page="The page, from 1.")
    @app_commands.guild_only()
    async def history(
        self,
        ctx: commands.Context[Any],
        page: Page | None = None,
        *,
        options: HistoryOptions,
    ) -> None:
        """List batches."""
        await own_commands.defer(ctx)
        batch_filter = BatchFilter(
            status=status_named(options.state),
            user_id=options.person.id if options.person else None,
            since=first_moment(options.since),
            until=moment_after(options.until),
        )
        embed, view = await self._services.history_pager.history(batch_filter, page or 1)
        await own_commands.answer(ctx, embed=embed, view=view)

    @Payouts.sendref_cashb.command(
        name="show", description="One batch and its payouts.", usage="BATCH-ID", ignore_extra=False, extras=VIEWERS_TOO
    )
    @app_commands.describe(batch="The batch's ID or number.")
    @app_commands.guild_only()
    async def show_batch(self, ctx: commands.Context[Any], batch: str) -> None:
        """Show a batch."""
        await own_commands.defer(ctx)
        number = await self._database.read(batches.find_named, batch)
        embed, view = await self._services.history_pager.payouts(number, 0)
        await own_commands.answer(ctx, embed=embed, view=view)

    @show_batch.autocomplete("batch")
    async def suggest(self, interaction: discord.Interaction[Any], current: str) -> list[app_commands.Choice[str]]:
        """Suggest the newest batches with the text in their IDs."""
        if not await self._services.claims.win_interaction(interaction):
            note_answered(interaction, discord.InteractionResponseType.autocomplete_result)
            return []
        found = await self._database.read(history.named_like, current, limit=SUGGESTED)
        return [app_commands.Choice(name=batch_id, value=batch_id) for batch_id in found]
