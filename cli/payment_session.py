"""Opens the service with a runner that nobody else shares, for the commands that pay."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.domain.model import BatchReport, ChunkCredited
from cashback.domain.ports import Observer
from cashback.services import AdminService
from cashback.settings import Settings
from cli.context import ledger
from cli.output import Advance
from pipeline.runner import Runner
from stages import make_pipeline


class ProgressObserver:
    """An observer that moves a progress bar and keeps how the run ended."""

    def __init__(self, advance: Advance) -> None:
        """Take what moves the bar."""
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
    """An open ledger with a service and the runner behind it."""

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
    """Open the ledger, which is created only if asked, and a service whose runner tells the observer."""
    bell = WakeUp()
    async with ledger(settings, create=create) as database:
        runner = Runner(
            lambda request: make_pipeline(
                request,
                database=database,
                observer=observer,
                outbox_changed=bell,
                chunk_size=settings.referral_settings.chunk_size,
            ),
            observer,
        )
        async with runner:
            yield PaymentSession(
                database=database, service=AdminService(database, settings, runner.submit), runner=runner
            )
