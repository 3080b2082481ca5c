"""`reverse`: takes credited cashback back, of one member or of a whole batch, as far as the wallets hold it."""

import sys
from typing import Any

import anyio
import typer

from cashback.database.payouts import batches
from cashback.domain.errors import SecondApproverError
from cashback.domain.model import Reversal
from cashback.domain.money import dollars
from cashback.domain.ports import NullObserver
from cashback.services import CLI, Actor, Source
from cashback.settings import Settings
from cli.context import Place
from cli.output import UsageError, counted, say, say_json
from cli.payment_session import open_payment_session


def reverse(
    place: Place,
    batch_id: str,
    *,
    user_id: int | None,
    reason: str,
    approved_by: int | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Show what would be taken back, ask, take it back, and say what the wallets did not hold; return the exit code."""
    if as_json and not yes:
        raise UsageError("--json cannot ask; give --yes with it.")
    settings = place.settings()
    wanted = anyio.run(_propose, settings, batch_id, user_id, reason)
    if wanted.needs_second_approver and approved_by is None:
        anyio.run(_cancel, settings, wanted.number)
        raise SecondApproverError(
            f"{wanted.needs_second_approver} Nothing was taken back; name the other one with --approved-by ID."
        )
    if not as_json:
        say(*_wanted_lines(wanted), "")
    if not yes and not _confirmed():
        anyio.run(_cancel, settings, wanted.number)
        say("Nothing was taken back.")
        return 0
    done = anyio.run(_approve, settings, wanted.number, approved_by)
    say_json(reversal_json(done)) if as_json else say(_done_line(done))
    return 0


def _confirmed() -> bool:
    if sys.stdin is None:
        return False
    try:
        return typer.confirm("Take it back?", default=False)
    except (typer.Abort, KeyboardInterrupt, EOFError):
        return False


def _wanted_lines(wanted: Reversal) -> list[str]:
    whom = f"member {wanted.referrer_id}" if wanted.referrer_id is not None else counted(wanted.planned_count, "user")
    return [
        f"To take back of {wanted.batch_id}",
        f"  From:     {whom}",
        f"  Credited: {dollars(wanted.planned_cents)}",
        f"  Wallets:  {dollars(wanted.coverable_cents)} of it; {_short(wanted)} would be missing",
        f"  Reason:   {wanted.reason}",
    ]


def _short(wanted: Reversal) -> str:
    return dollars(wanted.planned_cents - wanted.coverable_cents)


def _done_line(done: Reversal) -> str:
    return (
        f"Taken back: {dollars(done.reversed_cents)} of {done.batch_id} from {counted(done.planned_count, 'user')};"
        f" the wallets did not hold {dollars(done.shortfall_cents)}."
    )


def reversal_json(done: Reversal) -> dict[str, Any]:
    """Tell programs what was taken back."""
    return {
        "reversal": done.number,
        "batch_id": done.batch_id,
        "referrer_id": done.referrer_id,
        "status": done.status,
        "users": done.planned_count,
        "planned_cents": done.planned_cents,
        "reversed_cents": done.reversed_cents,
        "shortfall_cents": done.shortfall_cents,
        "reason": done.reason,
        "first_approved_by": done.first_approved_by,
        "approved_by": done.approved_by,
    }


async def _propose(settings: Settings, batch_id: str, user_id: int | None, reason: str) -> Reversal:
    async with open_payment_session(settings, NullObserver()) as office:
        number = await office.database.read(batches.find_named, batch_id)
        return await office.service.propose_reversal(CLI, number, reason=reason, referrer_id=user_id)


async def _approve(settings: Settings, number: int, approved_by: int | None) -> Reversal:
    async with open_payment_session(settings, NullObserver()) as office:
        reversal = await office.service.approve_reversal(CLI, number)
        if reversal.approved_by is None:
            reversal = await office.service.approve_reversal(Actor(source=Source.CLI, user_id=approved_by), number)
        return reversal


async def _cancel(settings: Settings, number: int) -> None:
    async with open_payment_session(settings, NullObserver()) as office:
        await office.service.cancel_reversal(CLI, number)
