"""`retry`: tries a finished batch's failed payouts again."""

import anyio
import typer

from cashback.services import CLI, AdminService
from cli.context import Place
from cli.formatting import exit_code, report_json, report_lines
from cli.options import BatchArgument, ConfigOption, DatabaseOption, JsonOption, ReasonOption
from cli.output import counted, progress, say, say_json
from cli.payment_session import report_of, run_batch


def command(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Retry the failed payouts of a batch; return the exit code, 3 if some still fail."""
    settings = Place.of(context, config, database).settings()
    before = anyio.run(report_of, settings, batch_id)

    async def retry(service: AdminService, number: int) -> None:
        await service.retry(CLI, number, why=reason)

    with progress("Paying", before.failed) as advance:
        report = run_batch(settings, before.batch_number, advance, retry)
    if as_json:
        say_json({**report_json(report), "retried": before.failed})
    else:
        say(f"Retried {counted(before.failed, 'payout')}.", *report_lines(report))
    return exit_code(report)
