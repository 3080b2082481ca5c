"""`export`: payouts as a file for bookkeeping."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import anyio
import typer

from cashback.database.payouts import batches
from cashback.database.queries import exporting
from cashback.database.queries.exporting import ExportTotals, Period
from cashback.domain.days import first_moment, moment_after
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption, SinceOption, UntilOption
from cli.output import UsageError, counted, progress, say, say_json


class FileFormat(StrEnum):
    """The kinds of file."""

    CSV = "csv"
    XLSX = "xlsx"


def command(
    context: typer.Context,
    *,
    batch_id: Annotated[str | None, typer.Argument(metavar="BATCH-ID", help="The batch's ID, or its number.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="The file to write.")] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="csv or xlsx.")] = FileFormat.CSV,
    with_totals: Annotated[
        bool, typer.Option("--totals", help="Write the totals as the last row, not to a file of their own.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Write the payouts of a batch, or of the batches of some days, and show the file's name."""
    if (batch_id is None) == (since is None and until is None):
        raise UsageError("Name a batch, or days with --from and --to, and not both")
    settings = Place.of(context, config, database).settings()
    path = output or Path(f"{batch_id or 'payouts'}.{file_format}")
    if path.suffix != f".{file_format}":
        raise UsageError(f"{path} does not end in .{file_format}; change the name or the --format")
    with progress(f"Writing {path}", None):
        summed = anyio.run(_export, settings, batch_id, (first_moment(since), moment_after(until)), path, with_totals)
    totals_file = None if with_totals else exporting.totals_path(path)
    if as_json:
        files = {"file": str(path.absolute()), "totals_file": str(totals_file.absolute()) if totals_file else None}
        say_json({**files, **asdict(summed)})
    else:
        say(
            f"{path} holds {counted(summed.payouts, 'payout')} of {counted(summed.batches, 'batch', 'batches')}:"
            f" {dollars(summed.paid_cents)} paid{_reversed(summed)}.",
            *([f"Its totals are in {totals_file}."] if totals_file else []),
        )
    return 0


def _reversed(summed: ExportTotals) -> str:
    if not summed.reversed_cents:
        return ""
    return f", {dollars(summed.reversed_cents)} reversed, {dollars(summed.net_cents)} net"


async def _export(
    settings: Settings,
    batch_id: str | None,
    days: tuple[datetime | None, datetime | None],
    path: Path,
    with_totals: bool,  # noqa: FBT001 -- anyio.run passes positions
) -> ExportTotals:
    async with ledger(settings) as database:
        if batch_id is not None:
            period = Period(number=await database.read(batches.find_named, batch_id))
        else:
            period = Period(since=days[0], until=days[1])
        return await database.read(exporting.write_file, period, path, with_totals=with_totals)
