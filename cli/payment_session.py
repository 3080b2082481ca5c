"""Opens the services with a runner of their own, for the commands that pay."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import batches
from cashback.domain.errors import CashbackError
from cashback.domain.model import BatchReport, BatchStatus, ChunkCredited
from cashback.domain.money import dollars
from cashback.domain.ports import Observer
from cashback.services import AdminService
from cashback.settings import Settings
from cli.context import ledger
from cli.output import Advance, counted
from pipeline.runner import Runner
from stages import make_pipeline

Submit = Callable[[AdminService, int], Awaitable[object]]
"""Asks the service to hand a batch to the runner: approve, resume, retry."""


class ProgressObserver:
    """Moves a progress bar, and keeps how the run ended."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self.report: BatchReport | None = None
        self.reason = "the run did not start"

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Move the bar by the payouts that are settled."""
        self._advance(chunk.credited + chunk.failed + chunk.skipped)

    async def finished(self, report: BatchReport) -> None:
        """Keep the report."""
        self.report = report

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Keep the reason."""
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSession:
    """An open ledger with the service and the runner."""

    database: Database
    service: AdminService
    runner: Runner

    async def run(self) -> None:
        """Pay what was submitted, then return."""
        self.runner.close()
        await self.runner.run()


@asynccontextmanager
async def open_payment_session(
    settings: Settings, observer: Observer, *, create: bool = False
) -> AsyncIterator[PaymentSession]:
    """Open the ledger, which is created only if asked, and a service whose runner reports to the observer."""
    outbox_changed = WakeUp()
    async with ledger(settings, create=create) as database:
        runner = Runner(
            lambda request: make_pipeline(
                request,
                database=database,
                observer=observer,
                outbox_changed=outbox_changed,
                chunk_size=settings.referral_settings.chunk_size,
            ),
            observer,
        )
        async with runner:
            yield PaymentSession(
                database=database, service=AdminService(database, settings, runner.submit), runner=runner
            )


def run_batch(settings: Settings, number: int, advance: Advance, submit: Submit) -> BatchReport:
    """Submit a batch, pay until it is settled, and return its report.

    Raises CashbackError that names the batch if it is not finished.
    """
    try:
        return anyio.run(_submit_and_run, settings, number, advance, submit)
    except KeyboardInterrupt:
        report = anyio.run(_report, settings, number)
        if report.batch_id is None:
            raise CashbackError("Interrupted; nothing was approved and nothing was paid.") from None
        raise CashbackError(_unfinished(report, "interrupted")) from None


async def _submit_and_run(settings: Settings, number: int, advance: Advance, submit: Submit) -> BatchReport:
    observer = ProgressObserver(advance)
    async with open_payment_session(settings, observer) as session:
        await submit(session.service, number)
        await session.run()
        if observer.report is None:
            raise CashbackError(_unfinished(await session.database.read(batches.report, number), observer.reason))
        if observer.report.status is BatchStatus.STOPPED:
            raise CashbackError(_unfinished(observer.report, "it was stopped"))
        return observer.report


async def _report(settings: Settings, number: int) -> BatchReport:
    async with ledger(settings) as database:
        return await database.read(batches.report, number)


async def report_of(settings: Settings, batch_id: str) -> BatchReport:
    """Read the report of the batch with this ID or number."""
    async with ledger(settings) as database:
        return await database.read(batches.report, await database.read(batches.find_named, batch_id))


def _unfinished(report: BatchReport, reason: str) -> str:
    return (
        f"Batch {report.batch_id} is not finished: {reason}. So far {dollars(report.total_cents)} went to "
        f"{counted(report.users_paid, 'user')}; `cashback resume {report.batch_id}` pays the rest."
    )
