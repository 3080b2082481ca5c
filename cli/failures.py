"""`failures`: the failed payouts that were neither retried with success nor abandoned."""

from typing import Any, Final

import anyio
import typer

from cashback.database.payouts import retries
from cashback.domain.model import OpenFailure
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import counted, moment, say, say_json

ALL: Final = 10**9


def command(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """List the failed payouts."""
    found = anyio.run(_read, Place.of(context, config, database).settings())
    if as_json:
        say_json({"failures": [_json(each) for each in found]})
    elif not found:
        say("There are no failed payouts.")
    else:
        say(f"{counted(len(found), 'failed payout')}; the cashback is still pending.", *map(_line, found))
    return 0


def _line(failure: OpenFailure) -> str:
    tried = counted(failure.attempts, "attempt")
    return (
        f"  {failure.batch_id}  {failure.referrer_id} - {dollars(failure.approved_cents)}"
        f" ({tried}, {moment(failure.failed_at)}): {failure.reason}"
    )


async def _read(settings: Settings) -> list[OpenFailure]:
    async with ledger(settings) as database:
        return await database.read(retries.open_failures, limit=ALL)


def _json(failure: OpenFailure) -> dict[str, Any]:
    return {
        "batch_id": failure.batch_id,
        "referrer_id": failure.referrer_id,
        "approved_cents": failure.approved_cents,
        "attempts": failure.attempts,
        "reason": failure.reason,
        "failed_at": failure.failed_at,
    }
