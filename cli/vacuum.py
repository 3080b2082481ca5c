"""`vacuum`: replaces the messages of batches that finished long ago by counts, so that the ledger grows less."""

from typing import Annotated

import anyio
import typer

from cashback.background.outbox_thinning import KEPT_DAYS, thin_outbox
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import counted, say, say_json


def command(
    context: typer.Context,
    *,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=1, help="Only batches that finished at least N days ago.")
    ] = KEPT_DAYS,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Replace the sent and muted messages of old batches by counts. The bot does so every day."""
    messages = anyio.run(_thin, Place.of(context, config, database).settings(), days)
    if as_json:
        say_json({"messages": messages})
    else:
        say(f"{counted(messages, 'direct message')} replaced by counts; the next batches use the space.")
    return 0


async def _thin(settings: Settings, days: int) -> int:
    async with ledger(settings) as database:
        return await thin_outbox(database, days=days)
