"""`approve`: the second admin approves a batch, and it is paid."""

import anyio
import typer

from cashback.services import Actor, AdminService, Source
from cli.context import Place
from cli.formatting import exit_code, report_json, report_lines
from cli.options import BatchArgument, ConfigOption, DatabaseOption, JsonOption, SecondApproverOption
from cli.output import progress, say, say_json
from cli.payment_session import report_of, run_batch


def command(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    approved_by: SecondApproverOption,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Approve a batch as the second admin and pay it; return the exit code."""
    settings = Place.of(context, config, database).settings()
    waiting = anyio.run(report_of, settings, batch_id)

    async def approve(service: AdminService, number: int) -> None:
        await service.approve(Actor(source=Source.CLI, user_id=approved_by), number)

    with progress("Paying", waiting.users_planned) as advance:
        report = run_batch(settings, waiting.batch_number, advance, approve)
    say_json(report_json(report)) if as_json else say(*report_lines(report))
    return exit_code(report)
