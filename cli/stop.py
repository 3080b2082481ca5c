"""`stop`: stops a batch after its current chunk, in whichever process it runs."""

from typing import Any

import anyio
import typer

from cashback.database.payouts import batches
from cashback.domain.model import BatchReport, BatchStatus
from cashback.domain.ports import NullObserver
from cashback.services import CLI, AdminService
from cashback.settings import Settings
from cli.context import Place
from cli.formatting import report_json, report_lines
from cli.options import BatchArgument, ConfigOption, DatabaseOption, JsonOption
from cli.output import counted, say, say_json
from cli.payment_session import open_payment_session


def command(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Stop a batch and show how it stands."""
    return change_batch(Place.of(context, config, database), batch_id, AdminService.stop, as_json=as_json)


def change_batch(place: Place, batch_id: str, act: Any, *, as_json: bool) -> int:  # noqa: ANN401 -- a method of the service
    """Call a method of the service on a batch, and show how the batch stands."""
    report = anyio.run(_act, place.settings(), batch_id, act)
    say_json(report_json(report)) if as_json else say(*report_lines(report))
    if report.status is BatchStatus.STOPPED and not as_json:
        unsettled = report.users_planned - report.users_paid - report.failed - report.skipped
        name = report.batch_id
        say(
            f"{counted(unsettled, 'payout')} left: `cashback resume {name}` pays,"
            f" `cashback abandon {name}` ends the batch."
        )
    return 0


async def _act(settings: Settings, batch_id: str, act: Any) -> BatchReport:  # noqa: ANN401 -- as above
    async with open_payment_session(settings, NullObserver()) as session:
        number = await session.database.read(batches.find_named, batch_id)
        report: BatchReport = await act(session.service, CLI, number)
        return report
