"""`sendref-cashb export`: payouts as a file for bookkeeping, attached if Discord accepts its size."""

from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal

import anyio
import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.flags import Flags
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.texts import embeds
from cashback.database.payouts import batches
from cashback.database.queries import exporting
from cashback.database.queries.exporting import ExportTotals, Period
from cashback.domain.dashes import DASHES
from cashback.domain.days import first_moment, moment_after
from cashback.domain.errors import CashbackError
from cashback.domain.money import dollars, grouped

FOLDER: Final = "exports"
"""A folder next to the ledger. Attached files are deleted from it."""


class BatchName(commands.Converter[str]):
    """A batch's ID or number. Options are rejected."""

    async def convert(self, ctx: commands.Context[Any], argument: str) -> str:
        """Return the word. Raises BadArgument if it is an option."""
        if argument.startswith(tuple(DASHES)):
            raise commands.BadArgument(f"“{embeds.escaped(argument[:60])}” is not a batch.")
        return argument


class ExportOptions(Flags):
    """The days, and the format of the file."""

    since: str | None = commands.flag(name="from", default=None, description="From this day, for example 2026-07-03.")
    until: str | None = commands.flag(name="to", default=None, description="Up to and including this day.")
    file_format: Literal["csv", "xlsx"] = commands.flag(name="format", default="csv", description="csv or xlsx.")


def _stem(batch: str | None, options: ExportOptions) -> str:
    """Name a file after its batch, or after its days."""
    if batch is not None:
        return f"batch-{batch}" if batch.isdigit() else batch.upper()
    return "-".join(
        [
            "payouts",
            *(["from", options.since] if options.since else []),
            *(["to", options.until] if options.until else []),
        ]
    )


async def _unused(path: Path) -> Path:
    """Reserve a name: two admins may export at once."""
    for number in count(1):
        wanted = anyio.Path(path if number == 1 else path.with_stem(f"{path.stem}-{number}"))
        try:
            await wanted.touch(exist_ok=False)
        except FileExistsError:
            continue
        return Path(wanted)
    raise AssertionError  # pragma: no cover -- the numbers do not end


class ExportCommands(AdminCog):
    """The command that exports."""

    @Payouts.sendref_cashb.command(
        name="export",
        description="Export the payouts of a batch, or of the batches of some days.",
        usage="BATCH-ID or --from 2026-07-01 --to 2026-07-31, --format xlsx if you like",
        ignore_extra=False,
    )
    @app_commands.describe(batch="The batch's ID or number; leave it empty if you give days.")
    @app_commands.guild_only()
    async def export(
        self, ctx: commands.Context[Any], batch: BatchName | None = None, *, options: ExportOptions
    ) -> None:
        """Write the file, and attach it if Discord accepts its size; otherwise show its path."""
        await own_commands.defer(ctx)
        name = str(batch) if batch is not None else None
        period = await self._period(name, options)
        folder = self._database.folder / FOLDER
        await anyio.Path(folder).mkdir(exist_ok=True)
        path = await _unused(folder / f"{_stem(name, options)}.{options.file_format}")
        try:
            summed = await self._database.read(exporting.write_file, period, path, with_totals=True)
        except CashbackError:
            await anyio.Path(path).unlink()
            raise
        await self._answer(ctx, path, summed)

    async def _period(self, name: str | None, options: ExportOptions) -> Period:
        if (name is None) == (options.since is None and options.until is None):
            raise CashbackError("Give either a batch, or days with --from and --to.")
        if name is not None:
            return Period(number=await self._database.read(batches.find_named, name))
        return Period(since=first_moment(options.since), until=moment_after(options.until))

    async def _answer(self, ctx: commands.Context[Any], path: Path, summed: ExportTotals) -> None:
        totals = (
            f"{embeds.counted(summed.payouts, 'payout')}, {dollars(summed.paid_cents)} paid,"
            f" {grouped(summed.failed)} failed, {grouped(summed.skipped)} skipped, {grouped(summed.left_out)} excluded."
        )
        written = anyio.Path(path)
        if (await written.stat()).st_size <= (ctx.guild.filesize_limit if ctx.guild else 0):
            open_file = partial(discord.File, path, description="Payouts for bookkeeping")
            await own_commands.answer(ctx, embed=embeds.notice(totals), open_file=open_file)
            await written.unlink()
        else:
            await own_commands.answer(
                ctx, embed=embeds.notice(f"{totals}\nThe file is too large for Discord; it is at `{path}`.")
            )
