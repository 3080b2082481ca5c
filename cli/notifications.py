"""`notifications`: direct messages that failed, and queueing them again."""

from enum import StrEnum
from typing import Annotated

import anyio
import typer

from cashback.database.payouts import batches, outbox
from cashback.domain.money import grouped
from cashback.domain.ports import NullObserver
from cashback.services import CLI
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption, UserOption
from cli.output import UsageError, counted, say, say_json
from cli.payment_session import open_payment_session


class NotificationAction(StrEnum):
    """What can be done to direct messages."""

    RETRY = "retry"


def command(
    context: typer.Context,
    *,
    action: Annotated[NotificationAction | None, typer.Argument(metavar="ACTION", help="retry.")] = None,
    batch_id: Annotated[str | None, typer.Argument(metavar="BATCH-ID", help="Only this batch's messages.")] = None,
    user: UserOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All messages that failed.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Queue failed messages again if asked, then count the failed and queued ones."""
    named = [batch_id is not None, user is not None, everything]
    if action is None and any(named):
        raise UsageError("Without `retry`, `notifications` takes no batch, --user or --all")
    if action is not None and sum(named) != 1:
        raise UsageError("Name what to retry: a BATCH-ID, --user ID or --all, and one of them only")
    settings = Place.of(context, config, database).settings()
    retried = None if action is None else anyio.run(_retry, settings, batch_id, user)
    failed, queued = anyio.run(_count, settings)
    if as_json:
        say_json({"failed": failed, "queued": queued, **({} if retried is None else {"retried": retried})})
        return 0
    if retried is not None:
        say(f"{counted(retried, 'direct message')} queued again." if retried else "No failed direct messages found.")
    say(f"{counted(failed, 'direct message')} failed, {grouped(queued)} queued; a running bot sends them.")
    return 0


async def _retry(settings: Settings, batch_id: str | None, user_id: int | None) -> int:
    async with open_payment_session(settings, NullObserver()) as session:
        number = None if batch_id is None else await session.database.read(batches.find_named, batch_id)
        return await session.service.retry_notifications(CLI, batch_number=number, user_id=user_id)


async def _count(settings: Settings) -> tuple[int, int]:
    async with ledger(settings) as database:
        return await database.read(outbox.count_failed), await database.read(outbox.depth)
