"""The commands that read: `pending`, `history`, `show` and `verify`."""

from collections.abc import AsyncIterator
from typing import Any, Final

import anyio

from cashback.database import audit_log
from cashback.database.database import Database
from cashback.database.integrity import reconciliation, soundness
from cashback.database.integrity.reconciliation import Verdict
from cashback.database.payouts import batches, retries
from cashback.database.queries import history as histories
from cashback.database.queries.history import BatchFilter
from cashback.database.referral_program.pending import held_and_owed
from cashback.domain.model import BatchReport, PayoutStatus
from cashback.domain.money import dollars
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.formatting import full_report_json, ranking, report_lines
from cli.output import complain, counted, moment, progress, say, say_json, stream_json

PAGE_SIZE: Final = 1_000
ATTEMPTS_LISTED: Final = 1_000


def pending(place: Place, *, user_id: int | None, limit: int, as_json: bool) -> int:
    """Say what would be paid now, to everyone or to one referrer."""
    settings = place.settings()
    if user_id is not None:
        _say_pending_of(user_id, *anyio.run(_pending_of, settings, user_id), limit=limit, as_json=as_json)
        return 0
    rows, beside = anyio.run(_all_pending, settings)
    total_cents = sum(row["pending_cents"] for row in rows)
    if as_json:
        say_json({"users": len(rows), "total_cents": total_cents, **beside, "referrers": rows})
        return 0
    if not rows:
        say("No referral cashback is pending.")
    else:
        top = [(row["referrer_id"], row["pending_cents"], row["referral_count"]) for row in rows[:limit]]
        say(f"Pending: {dollars(total_cents)} to {counted(len(rows), 'user')}", "", *ranking(top, len(rows)))
    say(*_beside_lines(beside))
    return 0


def _beside_lines(beside: dict[str, int]) -> list[str]:
    """Say what stands beside the pending cents, where there is any."""
    said = {
        "held_cents": "Held until the holding period is over: {}",
        "owed_cents": "Owed after refunds, against later earnings of the same referral: {}",
    }
    return [line.format(dollars(beside[key])) for key, line in said.items() if beside[key]]


def _say_pending_of(user_id: int, found: dict[str, Any], beside: dict[str, int], *, limit: int, as_json: bool) -> None:
    if as_json:
        say_json({"referrer_id": user_id, **found, **beside})
        return
    if found["is_blacklisted"]:
        say(f"Member {user_id} is blacklisted from referral cashback.")
    elif not found["pending_cents"]:
        say(f"Member {user_id} has no pending cashback.")
    else:
        details = found["referral_details"]
        say(f"Member {user_id}: {dollars(found['pending_cents'])} from {counted(found['referral_count'], 'referral')}")
        say(*(f"  {detail['user_id']}: {dollars(detail['amount_cents'])}" for detail in details[:limit]))
        if len(details) > limit:
            say(f"  …and {len(details) - limit:,} more")
    say(*_beside_lines(beside))


async def _all_pending(settings: Settings) -> tuple[list[dict[str, int]], dict[str, int]]:
    async with ledger(settings) as database:
        rows = await database.get_all_pending_referral_cashbacks()
        return rows, await database.read(held_and_owed, database.now())


async def _pending_of(settings: Settings, user_id: int) -> tuple[dict[str, Any], dict[str, int]]:
    async with ledger(settings) as database:
        found = await database.get_pending_cashback_for_user(user_id)
        return found, await database.read(held_and_owed, database.now(), referrer_id=user_id)


def history(place: Place, wanted: BatchFilter, *, limit: int, page: int, as_json: bool) -> int:
    """List the batches that are wanted, newest first."""
    found = anyio.run(_history, place.settings(), wanted, limit, page)
    if as_json:
        say_json({"batches": found})
        return 0
    if not found:
        is_first = page == 1 and wanted == BatchFilter()
        say("No batch was ever proposed." if is_first else "There is no batch on this page.")
    for batch in found:
        say(
            f"{batch['batch_id'] or 'number ' + str(batch['number']):<22}  {batch['status'].replace('_', ' ')}"
            f"  {dollars(batch['total_cents'])} to {counted(batch['users_paid'], 'user')}"
            f"  (planned {dollars(batch['planned_cents'])} to {batch['planned_count']:,},"
            f" failed {batch['failed']:,}, skipped {batch['skipped']:,})"
            f"  by {batch['approved_by'] or batch['proposed_by']}  {moment(batch['proposed_at'])}"
        )
    return 0


async def _history(settings: Settings, wanted: BatchFilter, limit: int, page: int) -> list[dict[str, Any]]:
    async with ledger(settings) as database:
        return await database.read(histories.page, wanted, limit=limit, offset=(page - 1) * limit)


def show(place: Place, batch_id: str, *, limit: int, as_json: bool) -> int:
    """Say how one batch stands, and list its payouts in the order of their referrers; a limit of 0 lists all."""
    anyio.run(_show, place.settings(), batch_id, limit, as_json)
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
    told = [{name: value for name, value in each.items() if name != "batch_number"} for each in attempts]
    with stream_json({**full_report_json(report), "attempts": told}, "payouts") as write:
        async for payout in _payouts(database, report.batch_number, limit):
            write({name: value for name, value in payout.items() if name != "batch_number"})


async def _show_text(database: Database, report: BatchReport, limit: int) -> None:
    say(*report_lines(report))
    say(f"  Proposed: {moment(report.proposed_at)} by {report.proposed_by}")
    if report.finished_at:
        say(f"  Ended:    {moment(report.finished_at)}")
    say("")
    async for payout in _payouts(database, report.batch_number, limit):
        reason = f": {payout['reason']}" if payout["reason"] else ""
        cents = payout["paid_cents"] if payout["status"] == PayoutStatus.CREDITED else payout["approved_cents"]
        referrals = counted(payout["referral_count"], "referral")
        say(f"  {payout['referrer_id']} - {dollars(cents)} ({referrals}) {payout['status']}{reason}")
    if report.users_planned > limit:
        say(f"  …and {report.users_planned - limit:,} more (--limit 0 lists all)")
    for each in await database.read(retries.attempts_of, report.batch_number, limit=ATTEMPTS_LISTED):
        why = f": {each['why']}" if each["why"] else ""
        outcome = each["outcome"] or "under way"
        asked = f"{moment(each['requested_at'])} by {each['requested_by']}{why}"
        say(f"  retry {each['attempt']} of {each['referrer_id']}, {asked}: {outcome}")


async def _payouts(database: Database, number: int, limit: int) -> AsyncIterator[dict[str, Any]]:
    """Read a batch's payouts a page at a time."""
    last = 0
    while limit > 0:
        page = await database.read(batches.payouts_of, number, limit=min(limit, PAGE_SIZE), after_referrer_id=last)
        if not page:
            return
        for payout in page:
            yield payout
        last, limit = page[-1]["referrer_id"], limit - len(page)


def verify(place: Place, *, head: str | None, batch_id: str | None, as_json: bool) -> int:
    """Prove from the rows that the books balance, or that one batch is right; find a head that was kept elsewhere."""
    settings = place.settings()
    with progress("Checking the books", None):
        verdict, head_entry = anyio.run(_verify, settings, head, batch_id)
    if as_json:
        say_json(
            {
                "balanced": verdict.balanced,
                "breaches": verdict.breaches,
                "remarks": verdict.remarks,
                "payouts_checked": verdict.payouts_checked,
                "credited_cents": verdict.credited_cents,
                "audit_head": verdict.audit_head,
                **({"head_entry": head_entry} if head else {}),
            }
        )
    else:
        say(*verdict_lines(verdict))
        say(*[f"Head {head} is entry {head_entry} of the audit log; all up to it is as it was."] * bool(head_entry))
    if not verdict.balanced:
        complain(f"the books do not balance: {counted(len(verdict.breaches), 'breach', 'breaches')}")
    if head and head_entry is None:
        complain(f"no entry of the audit log has the head {head}: what it told of was changed or removed.")
        return 1
    return 0 if verdict.balanced else 1


async def _verify(settings: Settings, head: str | None, batch_id: str | None) -> tuple[Verdict, int | None]:
    async with ledger(settings) as database:
        head_entry = await database.read(audit_log.find_head, head) if head else None
        if batch_id is not None:
            number = await database.read(batches.find_named, batch_id)
            return await database.read(reconciliation.verify_batch, number), head_entry
        await database.read(soundness.require_sound, database.name)
        return await database.read(reconciliation.verify), head_entry


def verdict_lines(verdict: Verdict) -> list[str]:
    """Say what reconciliation found."""
    lines = [f"breach: {breach}" for breach in verdict.breaches] + [f"remark: {remark}" for remark in verdict.remarks]
    if verdict.balanced:
        lines.append(
            f"The books balance: {counted(verdict.payouts_checked, 'payout')}, {dollars(verdict.credited_cents)}"
            " credited, every cent accounted for."
        )
    return [*lines, f"Audit head: {verdict.audit_head}"]
