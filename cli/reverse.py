"""`reverse`: reverses credited cashback, one member's or a whole batch's, as far as the wallets hold it."""

import sys
from typing import Annotated, Any

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
from cli.options import ApproverOption, BatchArgument, ConfigOption, DatabaseOption, JsonOption, UserOption
from cli.output import UsageError, counted, say, say_json
from cli.payment_session import open_payment_session


def command(
    context: typer.Context,
    *,
    batch_id: BatchArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason; the audit log keeps it.")],
    user: UserOption = None,
    approved_by: ApproverOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Reverse without asking.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show what would be reversed, ask, reverse it, and show what the wallets did not hold; return the exit code."""
    if as_json and not yes:
        raise UsageError("--json cannot ask; give --yes with it.")
    settings = Place.of(context, config, database).settings()
    wanted = anyio.run(_propose, settings, batch_id, user, reason)
    if wanted.needs_second_approver and approved_by is None:
        anyio.run(_cancel, settings, wanted.number)
        raise SecondApproverError(
            f"{wanted.needs_second_approver} Nothing was reversed; name the second admin with --approved-by ID."
        )
    if not as_json:
        say(*_wanted_lines(wanted), "")
    if not yes and not _confirmed():
        anyio.run(_cancel, settings, wanted.number)
        say("Nothing was reversed.")
        return 0
    done = anyio.run(_approve, settings, wanted.number, approved_by)
    say_json(reversal_json(done)) if as_json else say(_done_line(done))
    return 0


def _confirmed() -> bool:
    if sys.stdin is None:
        return False
    try:
        return typer.confirm("Reverse it?", default=False)
    except (typer.Abort, KeyboardInterrupt, EOFError):
        return False


def _wanted_lines(wanted: Reversal) -> list[str]:
    payees = f"member {wanted.referrer_id}" if wanted.referrer_id is not None else counted(wanted.planned_count, "user")
    return [
        f"To reverse of {wanted.batch_id}",
        f"  From:     {payees}",
        f"  Credited: {dollars(wanted.planned_cents)}",
        f"  Wallets:  {dollars(wanted.coverable_cents)} of it; {_missing(wanted)} would be missing",
        f"  Reason:   {wanted.reason}",
    ]


def _missing(wanted: Reversal) -> str:
    return dollars(wanted.planned_cents - wanted.coverable_cents)


def _done_line(done: Reversal) -> str:
    return (
        f"Reversed: {dollars(done.reversed_cents)} of {done.batch_id} from {counted(done.planned_count, 'user')};"
        f" the wallets did not hold {dollars(done.shortfall_cents)}."
    )


def reversal_json(done: Reversal) -> dict[str, Any]:
    """Return what was reversed, as JSON for programs."""
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
    async with open_payment_session(settings, NullObserver()) as session:
        number = await session.database.read(batches.find_named, batch_id)
        return await session.service.propose_reversal(CLI, number, reason=reason, referrer_id=user_id)


async def _approve(settings: Settings, number: int, approved_by: int | None) -> Reversal:
    async with open_payment_session(settings, NullObserver()) as session:
        reversal = await session.service.approve_reversal(CLI, number)
        if reversal.approved_by is None:
            reversal = await session.service.approve_reversal(Actor(source=Source.CLI, user_id=approved_by), number)
        return reversal


async def _cancel(settings: Settings, number: int) -> None:
    async with open_payment_session(settings, NullObserver()) as session:
        await session.service.cancel_reversal(CLI, number)
