"""Running batches from the command line: `resume`, `retry`, `stop`, `give-up`, and what `pay` needs of them."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio

from cashback.database.payouts import batches, retries
from cashback.domain.errors import CashbackError
from cashback.domain.model import BatchReport, BatchStatus, OpenFailure
from cashback.domain.money import dollars
from cashback.domain.ports import NullObserver
from cashback.services import CLI, Actor, AdminService, Source
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.formatting import exit_code, report_json, report_lines
from cli.output import Advance, counted, moment, progress, say, say_json
from cli.payment_session import ProgressObserver, open_payment_session

ALL: Final = 10**9

Begin = Callable[[AdminService, int], Awaitable[object]]
"""Asks the service to hand a batch to the runner: approve, resume, retry."""


def run(settings: Settings, number: int, advance: Advance, begin: Begin) -> BatchReport:
    """Have the service begin, pay until the batch is settled, and return its report.

    Raises CashbackError that names the batch where it is not finished.
    """
    try:
        return anyio.run(_begin_and_run, settings, number, advance, begin)
    except KeyboardInterrupt:
        report = anyio.run(_report, settings, number)
        if report.batch_id is None:
            raise CashbackError("Interrupted; nothing was approved and nothing was paid.") from None
        raise CashbackError(_unfinished(report, "interrupted")) from None


async def _begin_and_run(settings: Settings, number: int, advance: Advance, begin: Begin) -> BatchReport:
    watch = ProgressObserver(advance)
    async with open_payment_session(settings, watch) as office:
        await begin(office.service, number)
        await office.run()
        if watch.report is None:
            raise CashbackError(_unfinished(await office.database.read(batches.report, number), watch.reason))
        if watch.report.status is BatchStatus.STOPPED:
            raise CashbackError(_unfinished(watch.report, "it was stopped"))
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
            reports.append(run(settings, number, advance, _resume))
        if not as_json:
            say(*report_lines(reports[-1]))
    if as_json:
        say_json({"batches": [report_json(report) for report in reports]})
    elif not reports:
        say("No batch is unfinished; there is nothing to resume.")
    return max((exit_code(report) for report in reports), default=0)


def approve(place: Place, batch_id: str, *, approved_by: int, as_json: bool) -> int:
    """Approve, as the second admin, a batch that waits for one, and pay it; return the exit code."""
    settings = place.settings()
    waiting = anyio.run(_named, settings, batch_id)

    async def begin(service: AdminService, number: int) -> None:
        await service.approve(Actor(source=Source.CLI, user_id=approved_by), number)

    with progress("Paying", waiting.users_planned) as advance:
        report = run(settings, waiting.batch_number, advance, begin)
    say_json(report_json(report)) if as_json else say(*report_lines(report))
    return exit_code(report)


async def _resume(service: AdminService, number: int) -> None:
    await service.resume(CLI, number)


async def _unfinished_batches(settings: Settings, batch_id: str | None) -> list[tuple[int, int]]:
    """Return the batches to finish, each with the number of payouts that are left."""
    async with ledger(settings) as database:
        if batch_id is None:
            numbers = await database.read(batches.unfinished)
        else:
            numbers = [await database.read(batches.find_named, batch_id)]
        reports = [await database.read(batches.report, number) for number in numbers]
        return [(r.batch_number, r.users_planned - r.users_paid - r.failed - r.skipped) for r in reports]


def retry(place: Place, batch_id: str, *, why: str | None, as_json: bool) -> int:
    """Try a finished batch's failed payouts again; return the exit code, 3 where some still fail."""
    settings = place.settings()
    before = anyio.run(_named, settings, batch_id)

    async def begin(service: AdminService, number: int) -> None:
        await service.retry(CLI, number, why=why)

    with progress("Paying", before.failed) as advance:
        report = run(settings, before.batch_number, advance, begin)
    if as_json:
        say_json({**report_json(report), "retried": before.failed})
    else:
        say(f"Retried {counted(before.failed, 'payout')}.", *report_lines(report))
    return exit_code(report)


async def _named(settings: Settings, batch_id: str) -> BatchReport:
    async with ledger(settings) as database:
        return await database.read(batches.report, await database.read(batches.find_named, batch_id))


def stop(place: Place, batch_id: str, *, as_json: bool) -> int:
    """Stop a batch, in whichever process it runs, after the chunk in hand."""
    return _move(place, batch_id, AdminService.stop, as_json=as_json)


def abandon(place: Place, batch_id: str, *, as_json: bool) -> int:
    """Give up the rest of a stopped batch, or the failed payouts of a finished one."""
    return _move(place, batch_id, AdminService.abandon, as_json=as_json)


def _move(place: Place, batch_id: str, act: Any, *, as_json: bool) -> int:  # noqa: ANN401 -- a method of the service
    report = anyio.run(_act, place.settings(), batch_id, act)
    say_json(report_json(report)) if as_json else say(*report_lines(report))
    if report.status is BatchStatus.STOPPED and not as_json:
        left = report.users_planned - report.users_paid - report.failed - report.skipped
        name = report.batch_id
        say(f"{counted(left, 'payout')} left: `cashback resume {name}` pays, `cashback give-up {name}` ends the batch.")
    return 0


async def _act(settings: Settings, batch_id: str, act: Any) -> BatchReport:  # noqa: ANN401 -- see above
    async with open_payment_session(settings, NullObserver()) as office:
        number = await office.database.read(batches.find_named, batch_id)
        report: BatchReport = await act(office.service, CLI, number)
        return report


def failures(place: Place, *, as_json: bool) -> int:
    """List the failed payouts that nobody has dealt with yet."""
    found = anyio.run(_failures, place.settings())
    if as_json:
        say_json({"failures": [_failure_json(each) for each in found]})
    elif not found:
        say("No failed payout waits for anybody.")
    else:
        say(f"{counted(len(found), 'failed payout')}; the cashback is still pending.")
        for each in found:
            tried = counted(each.attempts, "attempt")
            amount = dollars(each.approved_cents)
            say(f"  {each.batch_id}  {each.referrer_id} - {amount} ({tried}, {moment(each.failed_at)}): {each.reason}")
    return 0


async def _failures(settings: Settings) -> list[OpenFailure]:
    async with ledger(settings) as database:
        return await database.read(retries.open_failures, limit=ALL)


def _failure_json(each: OpenFailure) -> dict[str, Any]:
    return {
        "batch_id": each.batch_id,
        "referrer_id": each.referrer_id,
        "approved_cents": each.approved_cents,
        "attempts": each.attempts,
        "reason": each.reason,
        "failed_at": each.failed_at,
    }
