"""`abandon`: ends a stopped batch without paying the rest, or abandons a finished one's failed payouts."""

import typer

from cashback.services import AdminService
from cli.context import Place
from cli.options import BatchArgument, ConfigOption, DatabaseOption, JsonOption
from cli.stop import change_batch


def command(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Abandon what is not paid; the cashback stays pending."""
    return change_batch(Place.of(context, config, database), batch_id, AdminService.abandon, as_json=as_json)
