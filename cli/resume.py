"""`resume`: finishes the batches that were approved and are not finished."""

from typing import Annotated

import anyio
import typer

from cashback.database.payouts import batches
from cashback.services import CLI, AdminService
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.formatting import exit_code, report_json, report_lines
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import progress, say, say_json
from cli.payment_session import run_batch


def command(
    context: typer.Context,
    *,
    batch_id: Annotated[str | None, typer.Argument(metavar="BATCH-ID", help="Only this batch.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Finish every approved but unfinished batch, or the one that is named; return the exit code."""
    settings = Place.of(context, config, database).settings()
    reports = []
    for number, unsettled in anyio.run(_unfinished_batches, settings, batch_id):
        with progress("Paying", unsettled) as advance:
            reports.append(run_batch(settings, number, advance, _resume))
        if not as_json:
            say(*report_lines(reports[-1]))
    if as_json:
        say_json({"batches": [report_json(report) for report in reports]})
    elif not reports:
        say("No batch is unfinished; there is nothing to resume.")
    return max((exit_code(report) for report in reports), default=0)


async def _resume(service: AdminService, number: int) -> None:
    await service.resume(CLI, number)


async def _unfinished_batches(settings: Settings, batch_id: str | None) -> list[tuple[int, int]]:
    """Return the batches to finish, each with its number of payouts that are not settled."""
    async with ledger(settings) as database:
        if batch_id is None:
            numbers = await database.read(batches.unfinished)
        else:
            numbers = [await database.read(batches.find_named, batch_id)]
        reports = [await database.read(batches.report, number) for number in numbers]
        return [(r.batch_number, r.users_planned - r.users_paid - r.failed - r.skipped) for r in reports]
