"""`history`: the batches, newest first."""

from typing import Annotated, Any

import anyio
import typer

from cashback.database.queries import history as histories
from cashback.database.queries.history import BatchFilter, status_named
from cashback.domain.days import first_moment, moment_after
from cashback.domain.money import dollars, grouped
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.members import remark_if_unknown
from cli.options import ConfigOption, DatabaseOption, JsonOption, LimitOption, SinceOption, UntilOption, UserOption
from cli.output import counted, moment, say, say_json


def command(
    context: typer.Context,
    *,
    limit: LimitOption = 20,
    page: Annotated[int, typer.Option("--page", metavar="N", min=1, max=10**9, help="The page; the first is 1.")] = 1,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only batches in this state.")] = None,
    user: UserOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """List one page of the batches that match."""
    place = Place.of(context, config, database)
    wanted = BatchFilter(status=status_named(state), user_id=user, since=first_moment(since), until=moment_after(until))
    found = anyio.run(_read, place.settings(), wanted, limit, page)
    if as_json:
        say_json({"batches": found})
    elif found:
        say(*map(_line, found))
    else:
        is_unfiltered = page == 1 and wanted == BatchFilter()
        say("There are no batches yet." if is_unfiltered else "There are no batches on this page.")
    return 0


def _line(batch: dict[str, Any]) -> str:
    return (
        f"{batch['batch_id'] or 'number ' + str(batch['number']):<22}  {batch['status'].replace('_', ' ')}"
        f"  {dollars(batch['total_cents'])} to {counted(batch['users_paid'], 'user')}{_reversed(batch)}"
        f"  (planned {dollars(batch['planned_cents'])} to {grouped(batch['planned_count'])},"
        f" failed {grouped(batch['failed'])}, skipped {grouped(batch['skipped'])})"
        f"  by {batch['approved_by'] or batch['proposed_by']}  {moment(batch['proposed_at'])}"
    )


def _reversed(batch: dict[str, Any]) -> str:
    if not batch["reversed_cents"]:
        return ""
    return f", {dollars(batch['reversed_cents'])} reversed, {dollars(batch['net_cents'])} net"


async def _read(settings: Settings, wanted: BatchFilter, limit: int, page: int) -> list[dict[str, Any]]:
    async with ledger(settings) as database:
        if wanted.user_id is not None:
            await remark_if_unknown(database, wanted.user_id)
        return await database.read(histories.page, wanted, limit=limit, offset=(page - 1) * limit)
