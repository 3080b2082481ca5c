"""Interfaces that the pipeline needs: a clock, a messenger for direct messages, an observer of runs."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from cashback.domain.model import BatchReport, ChunkCredited, Delivery, PayoutNotice

Clock = Callable[[], datetime]
"""Returns the present moment as an aware UTC datetime."""

PostLine = Callable[[str], Awaitable[None]]
"""Posts one line in the audit channel."""


def utc_now() -> datetime:
    """Return the present moment, aware and in UTC. The only place that reads the machine's clock."""
    return datetime.now(UTC)


class Messenger(Protocol):
    """Delivers direct messages. Every failure that Discord can answer with is an outcome, not an exception."""

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Send one payout's direct message once."""
        ...


class Observer(Protocol):
    """Notified about the progress of a run. Implementations must not raise or block, because money is moving."""

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Handle that another chunk is settled and committed."""
        ...

    async def finished(self, report: BatchReport) -> None:
        """Handle that the batch is settled and its report is in the database."""
        ...

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Handle that a run ended early; the batch stays `running` in the database and can be resumed."""
        ...


class Page(Protocol):
    """A part of the dashboard."""

    def routes(self) -> Iterable[Any]:
        """List the addresses, as aiohttp's route definitions."""
        ...


class NullObserver:
    """An observer that does nothing, for callers that read the report from the database."""

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Ignore the progress."""

    async def finished(self, report: BatchReport) -> None:
        """Ignore the report."""

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Ignore the interruption."""
