"""`show`: one batch, its payouts and their retries."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import anyio
import typer

from cashback.database.database import Database
from cashback.database.payouts import batches, retries
from cashback.database.queries import payout_pages
from cashback.domain.model import BatchReport, PayoutStatus
from cashback.domain.money import dollars, grouped
from cashback.domain.reason_texts import in_words
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.formatting import full_report_json, report_lines
from cli.options import BatchArgument, ConfigOption, DatabaseOption, JsonOption
from cli.output import counted, moment, say, stream_json

PAGE_SIZE: Final = 1_000
ATTEMPTS_LISTED: Final = 1_000


def command(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Payouts to list; 0 lists all.")] = 25,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show a batch and its payouts, largest first; a limit of 0 lists all."""
    anyio.run(_show, Place.of(context, config, database).settings(), batch_id, limit, as_json)
    return 0


async def _show(settings: Settings, batch_id: str, limit: int, as_json: bool) -> None:  # noqa: FBT001 -- anyio.run passes by position
    async with ledger(settings) as database:
        report = await database.read(batches.report, await database.read(batches.find_named, batch_id))
        if as_json:
            await _show_json(database, report, limit or report.users_planned)
        else:
            await _show_text(database, report, limit or report.users_planned)


async def _show_json(database: Database, report: BatchReport, limit: int) -> None:
    attempts = await database.read(retries.attempts_of, report.batch_number, limit=ATTEMPTS_LISTED)
    listed = [{name: value for name, value in each.items() if name != "batch_number"} for each in attempts]
    with stream_json({**full_report_json(report), "attempts": listed}, "payouts") as write:
        async for payout in _payouts(database, report.batch_number, limit):
            write({name: value for name, value in payout.items() if name != "batch_number"})


async def _show_text(database: Database, report: BatchReport, limit: int) -> None:
    say(*report_lines(report))
    say(f"  Proposed: {moment(report.proposed_at)} by {report.proposed_by}")
    if report.finished_at:
        say(f"  Ended:    {moment(report.finished_at)}")
    say("")
    async for payout in _payouts(database, report.batch_number, limit):
        reason = f": {in_words(payout['reason'])}" if payout["reason"] else ""
        cents = payout["paid_cents"] if payout["status"] == PayoutStatus.CREDITED else payout["approved_cents"]
        referrals = counted(payout["referral_count"], "referral")
        back = f", {dollars(payout['reversed_cents'])} reversed" if payout["reversed_cents"] else ""
        say(f"  {payout['referrer_id']} - {dollars(cents)} ({referrals}) {payout['status']}{back}{reason}")
    if report.users_planned > limit:
        say(f"  …and {grouped(report.users_planned - limit)} more (--limit 0 lists all)")
    for each in await database.read(retries.attempts_of, report.batch_number, limit=ATTEMPTS_LISTED):
        why = f": {each['why']}" if each["why"] else ""
        outcome = each["outcome"] or "under way"
        asked = f"{moment(each['requested_at'])} by {each['requested_by']}{why}"
        say(f"  retry {each['attempt']} of {each['referrer_id']}, {asked}: {outcome}")


async def _payouts(database: Database, number: int, limit: int) -> AsyncIterator[dict[str, Any]]:
    """Read a batch's payouts one page at a time, largest first."""
    after: int | None = 0
    while limit > 0 and after is not None:
        page = await database.read(
            payout_pages.payouts_page, number, after_referrer_id=after, limit=min(limit, PAGE_SIZE)
        )
        for payout in page.rows:
            yield payout
        after, limit = page.next_after, limit - len(page.rows)
