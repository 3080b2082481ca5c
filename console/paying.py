"""`pay` and `resume`: the desk and the pipeline are Discord's; the direct messages stay queued for the bot."""

import sys
from typing import Any, NoReturn

import anyio
import typer

from console.office import Watch, open_office
from console.output import Advance, UsageError, counted, progress, say, say_json
from console.session import Place, find_batch, ledger
from console.text import exit_code, report_json, report_lines, summary_lines, unpaid_json
from database import batches, proposals
from desk import CLI
from pipeline.errors import CashbackError, NothingPendingError, StaleBatchError
from pipeline.messages import BatchMode, BatchReport, BatchSummary
from pipeline.money import dollars
from pipeline.ports import Silence
from settings import Settings


def pay(place: Place, *, user_id: int | None, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Show what would be paid, ask, pay, and say how it went; return the exit code."""
    if as_json and not yes and not dry_run:
        raise UsageError("--json cannot ask; give --yes or --dry-run with it.")
    settings = place.settings()
    try:
        summary = anyio.run(_preview if dry_run else _propose, settings, user_id)
    except NothingPendingError as nothing:
        if user_id is not None:
            raise
        say_json(unpaid_json("nothing_pending", BatchMode.BATCH)) if as_json else say(str(nothing))
        return 0
    if not as_json:
        say(*summary_lines(summary), "")
    if dry_run:
        _say_preview(summary, as_json=as_json)
        return 0
    confirmed = yes or _confirmed(summary)
    if not confirmed:
        anyio.run(_cancel, settings, summary.batch_number)
        say("The batch was cancelled; nothing was paid.")
        if confirmed is None:
            raise UsageError("Nobody answered; give --yes or --dry-run where nobody can.")
        return 0
    with progress("Paying", summary.users) as advance:
        report = _run(settings, summary.batch_number, advance, approve=True)
    say_json(report_json(report)) if as_json else say(*report_lines(report))
    return exit_code(report)


def _say_preview(summary: BatchSummary, *, as_json: bool) -> None:
    if as_json:
        say_json(unpaid_json("dry_run", summary.mode, users=summary.users, total_cents=summary.total_cents))
    else:
        say("This was a dry run; nothing was paid.")


def _confirmed(summary: BatchSummary) -> bool | None:
    """Ask on the terminal, or take the answer from standard input; None where that ends without one."""
    if sys.stdin is None:
        return None
    question = f"Pay {dollars(summary.total_cents)} to {counted(summary.users, 'user')}?"
    try:
        return typer.confirm(question, default=False)
    except (typer.Abort, KeyboardInterrupt, EOFError):
        say("")
        return False if sys.stdin.isatty() else None


async def _propose(settings: Settings, user_id: int | None) -> BatchSummary:
    async with open_office(settings, Silence()) as office:
        return await office.desk.propose(CLI, target_user_id=user_id)


class _PreviewError(Exception):
    """Carries a summary out of a transaction that must not stay."""

    def __init__(self, summary: BatchSummary) -> None:
        self.summary = summary


async def _preview(settings: Settings, user_id: int | None) -> BatchSummary:
    """Plan a batch by the same rules as a real one, inside a transaction that is rolled back."""
    async with ledger(settings) as database:
        now = database.now()

        def plan_and_undo(connection: Any) -> NoReturn:  # noqa: ANN401 -- its type is the database package's
            raise _PreviewError(
                proposals.propose(
                    connection,
                    actor=str(CLI),
                    now=now,
                    expires_at=None,
                    target_user_id=user_id,
                    min_payout_cents=settings.referral_settings.min_payout_cents,
                    hold_leavers=settings.referral_settings.leaver_policy == "hold",
                )
            )

        try:
            await database.write(plan_and_undo)
        except _PreviewError as preview:
            return preview.summary


async def _cancel(settings: Settings, number: int) -> None:
    async with open_office(settings, Silence()) as office:
        try:
            await office.desk.cancel(CLI, number)
        except StaleBatchError:
            # Somebody took too long: the proposal has expired, which pays as little.
            await office.desk.expire()


def _run(settings: Settings, number: int, advance: Advance, *, approve: bool) -> BatchReport:
    try:
        return anyio.run(_submit_and_run, settings, number, advance, approve)
    except KeyboardInterrupt:
        report = anyio.run(_report, settings, number)
        if report.batch_id is None:
            raise CashbackError("Interrupted; nothing was approved and nothing was paid.") from None
        raise CashbackError(_unfinished(report, "interrupted")) from None


async def _submit_and_run(settings: Settings, number: int, advance: Advance, approve: bool) -> BatchReport:  # noqa: FBT001
    watch = Watch(advance)
    async with open_office(settings, watch) as office:
        if approve:
            try:
                await office.desk.approve(CLI, number)
            except StaleBatchError:
                await office.desk.expire()
                raise
        else:
            await office.desk.resume(CLI, number)
        await office.run()
        if watch.report is None:
            raise CashbackError(_unfinished(await office.database.read(batches.report, number), watch.reason))
        return watch.report


async def _report(settings: Settings, number: int) -> BatchReport:
    async with ledger(settings) as database:
        return await database.read(batches.report, number)


def _unfinished(report: BatchReport, reason: str) -> str:
    return (
        f"Batch {report.batch_id} is not finished: {reason}. So far {dollars(report.total_cents)} went to "
        f"{counted(report.users_paid, 'user')}; `cashback resume {report.batch_id}` pays the rest."
    )


def resume(place: Place, batch_id: str | None, *, as_json: bool) -> int:
    """Finish every approved but unfinished batch, or the one that is named; return the exit code."""
    settings = place.settings()
    numbers = anyio.run(_unfinished_batches, settings, batch_id)
    reports = []
    for number, left in numbers:
        with progress("Paying", left) as advance:
            reports.append(_run(settings, number, advance, approve=False))
        if not as_json:
            say(*report_lines(reports[-1]))
    if as_json:
        say_json({"batches": [report_json(report) for report in reports]})
    elif not reports:
        say("No batch is unfinished; there is nothing to resume.")
    return max((exit_code(report) for report in reports), default=0)


async def _unfinished_batches(settings: Settings, batch_id: str | None) -> list[tuple[int, int]]:
    """Return the batches to finish, each with the number of payouts that are left."""
    async with ledger(settings) as database:
        if batch_id is None:
            numbers = await database.read(batches.unfinished)
        else:
            numbers = [await find_batch(database, batch_id)]
        reports = [await database.read(batches.report, number) for number in numbers]
        return [(r.batch_number, r.users_planned - r.users_paid - r.failed - r.skipped) for r in reports]
