"""`pay`: pays through the same service and pipeline as Discord; the direct messages stay queued for the bot."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NoReturn

import anyio
import typer

from cashback.database import Database
from cashback.database.payouts import proposals
from cashback.domain.errors import NothingPendingError, SecondApproverError, StaleBatchError
from cashback.domain.model import BatchMode, BatchSummary, Selection
from cashback.domain.money import dollars
from cashback.domain.ports import NullObserver
from cashback.services import CLI, EVERYONE, Actor, AdminService, Source, batch_limits_of
from cashback.services.terms import terms_line
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.formatting import exit_code, report_json, report_lines, summary_lines, unpaid_json
from cli.members import remark_if_unknown
from cli.options import ApproverOption, ConfigOption, DatabaseOption, ExcludeOption, JsonOption, OnlyOption, UserOption
from cli.output import UsageError, counted, progress, say, say_json
from cli.payment_session import open_payment_session, run_batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The members to pay, and the second admin if the batch needs two."""

    user_id: int | None = None
    selection: Selection = EVERYONE
    approved_by: int | None = None

    @property
    def is_for_everyone(self) -> bool:
        """Whether no member is named."""
        return self.user_id is None and self.selection == EVERYONE


def command(
    context: typer.Context,
    *,
    user: UserOption = None,
    only: OnlyOption = None,
    exclude: ExcludeOption = None,
    approved_by: ApproverOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Pay without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be paid, and pay nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Read the options and pay."""
    selection = Selection(only=frozenset(only or ()), exclude=frozenset(exclude or ()))
    order = Order(user_id=user, selection=selection, approved_by=approved_by)
    return pay(Place.of(context, config, database), order, yes=yes, dry_run=dry_run, as_json=as_json)


def pay(place: Place, order: Order, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Show what would be paid, ask, pay, and show the result; return the exit code."""
    if as_json and not yes and not dry_run:
        raise UsageError("--json cannot ask; give --yes or --dry-run with it.")
    settings = place.settings()
    try:
        summary = anyio.run(_preview if dry_run else _propose, settings, order)
    except NothingPendingError as nothing:
        if not order.is_for_everyone:
            raise
        say_json(unpaid_json("nothing_pending", BatchMode.BATCH)) if as_json else say(str(nothing))
        return 0
    if not as_json:
        say(*summary_lines(summary), f"Terms: {terms_line(settings.referral_settings)}.", "")
    if dry_run:
        _show_preview(summary, as_json=as_json)
        return 0
    if summary.needs_second_approver and order.approved_by is None:
        anyio.run(_cancel, settings, summary.batch_number)
        raise SecondApproverError(
            f"{summary.needs_second_approver} Nothing was paid; name the second admin with --approved-by ID."
        )
    confirmed = yes or _confirmed(summary)
    if not confirmed:
        anyio.run(_cancel, settings, summary.batch_number)
        say("The batch was cancelled; nothing was paid.")
        if confirmed is None:
            raise UsageError("Nobody answered the question; give --yes or --dry-run.")
        return 0
    with progress("Paying", summary.users) as advance:
        report = run_batch(settings, summary.batch_number, advance, partial(_approve, order))
    say_json(report_json(report)) if as_json else say(*report_lines(report))
    return exit_code(report)


def _show_preview(summary: BatchSummary, *, as_json: bool) -> None:
    if as_json:
        say_json(unpaid_json("dry_run", summary.mode, users=summary.users, total_cents=summary.total_cents))
    else:
        say("This was a dry run; nothing was paid.")


def _confirmed(summary: BatchSummary) -> bool | None:
    """Ask on the terminal, or read the answer from standard input; None if that ends without one."""
    if sys.stdin is None:
        return None
    question = f"Pay {dollars(summary.total_cents)} to {counted(summary.users, 'user')}?"
    try:
        return typer.confirm(question, default=False)
    except (typer.Abort, KeyboardInterrupt, EOFError):
        say("")
        return False if sys.stdin.isatty() else None


async def _approve(order: Order, service: AdminService, number: int) -> None:
    """Approve, and if the batch needs two admins, approve as the second one too."""
    try:
        report = await service.approve(CLI, number)
        if report.approved_by is None:
            await service.approve(Actor(source=Source.CLI, user_id=order.approved_by), number)
    except StaleBatchError:
        await service.expire()
        raise


async def _propose(settings: Settings, order: Order) -> BatchSummary:
    async with open_payment_session(settings, NullObserver()) as session:
        await _remark_unknown(session.database, order)
        return await session.service.propose(CLI, target_user_id=order.user_id, selection=order.selection)


async def _remark_unknown(database: Database, order: Order) -> None:
    """Write a line for each named member whom the ledger does not know."""
    named = {order.user_id} if order.user_id is not None else order.selection.only | order.selection.exclude
    for user_id in sorted(named):
        await remark_if_unknown(database, user_id)


class _PreviewError(Exception):
    """Carries a summary out of a transaction that is rolled back."""

    def __init__(self, summary: BatchSummary) -> None:
        self.summary = summary


async def _preview(settings: Settings, order: Order) -> BatchSummary:
    """Plan a batch by the same rules as a real one, inside a transaction that is rolled back."""
    async with ledger(settings) as database:
        await _remark_unknown(database, order)
        now = database.now()

        def plan_and_undo(connection: Any) -> NoReturn:  # noqa: ANN401 -- its type is the database package's
            raise _PreviewError(
                proposals.propose(
                    connection,
                    actor=str(CLI),
                    now=now,
                    expires_at=None,
                    target_user_id=order.user_id,
                    min_payout_cents=settings.referral_settings.min_payout_cents,
                    hold_leavers=settings.referral_settings.leaver_policy == "hold",
                    selection=order.selection,
                    terms=batch_limits_of(settings.referral_settings),
                )
            )

        try:
            await database.write(plan_and_undo)
        except _PreviewError as preview:
            return preview.summary


async def _cancel(settings: Settings, number: int) -> None:
    async with open_payment_session(settings, NullObserver()) as session:
        try:
            await session.service.cancel(CLI, number)
        except StaleBatchError:
            # The answer came too late: the proposal has expired, which pays nothing either.
            await session.service.expire()
