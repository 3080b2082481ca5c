"""`export`: payouts as a file for bookkeeping."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import anyio

from cashback.database.payouts import batches
from cashback.database.queries import exporting
from cashback.database.queries.exporting import ExportTotals, Period
from cashback.domain.days import first_moment, moment_after
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.output import UsageError, counted, progress, say, say_json


def export(
    place: Place,
    batch_id: str | None,
    *,
    since: str | None,
    until: str | None,
    output: Path | None,
    file_format: str,
    with_totals: bool,
    as_json: bool,
) -> int:
    """Write the payouts of a batch, or of the batches of some days, and say where they are."""
    if (batch_id is None) == (since is None and until is None):
        raise UsageError("Name a batch, or days with --from and --to, and not both")
    settings = place.settings()
    path = output or Path(f"{batch_id or 'payouts'}.{file_format}")
    if path.suffix != f".{file_format}":
        raise UsageError(f"{path} does not end in .{file_format}; name it so, or choose another --format")
    with progress(f"Writing {path}", None):
        summed = anyio.run(_export, settings, batch_id, (first_moment(since), moment_after(until)), path, with_totals)
    beside = None if with_totals else exporting.totals_path(path)
    if as_json:
        files = {"file": str(path.absolute()), "totals_file": str(beside.absolute()) if beside else None}
        say_json({**files, **asdict(summed)})
    else:
        say(
            f"{path} holds {counted(summed.payouts, 'payout')} of {counted(summed.batches, 'batch', 'batches')}:"
            f" {dollars(summed.paid_cents)} paid.",
            *([f"Its totals are in {beside}."] if beside else []),
        )
    return 0


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
