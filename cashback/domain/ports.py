"""What the pipeline asks of the world: the time, someone who delivers messages, someone who watches a run."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from cashback.domain.model import BatchReport, ChunkCredited, Delivery, PayoutNotice

Clock = Callable[[], datetime]
"""Answers the present moment as an aware UTC datetime."""


def utc_now() -> datetime:
    """Tell the present moment, aware and in UTC. The one place that asks the machine's clock."""
    return datetime.now(UTC)


class Messenger(Protocol):
    """Delivers direct messages. Every failure that Discord can answer with is an outcome, never an exception."""

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Send one payout's direct message once."""
        ...


class Observer(Protocol):
    """Is told how a run goes. What it does about it must neither raise nor take long: money is moving meanwhile."""

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Take note that another chunk is settled and committed."""
        ...

    async def finished(self, report: BatchReport) -> None:
        """Take note that the batch is settled and its report stands in the database."""
        ...

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Take note that the run ended early; the batch stays `running` in the database and can be resumed."""
        ...


class NullObserver:
    """An observer for those who read the report from the database."""

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Ignore the progress."""

    async def finished(self, report: BatchReport) -> None:
        """Ignore the report."""

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Ignore the interruption."""
