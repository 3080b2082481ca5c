"""Watches the runner, and hands it again what it could not finish: after a restart, a fault, or a full inbox.

Where several bots share a ledger it also looks there, for what was approved at another one.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import announcements, batches
from cashback.database.payouts.announcements import OpenSummary
from cashback.domain.errors import BusyError, CashbackError
from cashback.domain.model import BatchReport, ChunkCredited

RESUME_SECONDS: Final = 30
"""The pause before an interrupted batch is tried again; each further one waits twice as long, up to the longest."""

LONGEST_RESUME_SECONDS: Final = 600
IDLE_SECONDS: Final = 3600

logger = logging.getLogger(__name__)

Tell = Callable[[str], Awaitable[None]]
"""Says one line in the audit channel."""


class Recovery:
    """The runner's observer, and the one who resumes batches."""

    def __init__(
        self,
        database: Database,
        *,
        summaries_changed: WakeUp,
        batches_due: WakeUp,
        tell: Tell,
        resume_seconds: float = RESUME_SECONDS,
        poll_seconds: float | None = None,
    ) -> None:
        """Take the ledger, the bells that wake the announcer and this one, and what speaks in the audit channel.

        `poll_seconds` is how often the ledger is asked what other processes did; None where there are no others.
        """
        self._look_seconds = poll_seconds
        self._seen: list[OpenSummary] = []
        self._submitted: set[int] = set()
        self._database = database
        self._tell = tell
        self._summaries_changed = summaries_changed
        self._batches_due = batches_due
        self._resume_seconds = resume_seconds
        self._due: dict[int, float] = {}
        self._stops: dict[int, int] = {}
        self.reasons: dict[int, str] = {}
        """Why a batch stands still, by its number."""

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Forget why the batch stood still: it moves again."""
        self.reasons.pop(chunk.batch_number, None)

    async def finished(self, report: BatchReport) -> None:
        """Have the result shown."""
        self._submitted.discard(report.batch_number)
        self.reasons.pop(report.batch_number, None)
        self._stops.pop(report.batch_number, None)
        logger.info(
            "batch %s is %s: %d paid, %d failed", report.batch_id, report.status, report.users_paid, report.failed
        )
        try:
            await self._database.write(announcements.reopen_summary, report.batch_number)
        except CashbackError as error:
            logger.warning("batch %s: its summary may stay as it is: %s", report.batch_id, error)
        self._summaries_changed.set()

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Have the reason shown, and try the batch again later."""
        self._submitted.discard(batch_number)
        stops = self._stops.get(batch_number, 0)
        self._stops[batch_number] = stops + 1
        pause = min(self._resume_seconds * 2**stops, LONGEST_RESUME_SECONDS)
        is_news = self.reasons.get(batch_number) != reason
        self.reasons[batch_number] = reason
        logger.warning("batch number %d stopped (%s); it is resumed in %.0f s", batch_number, reason, pause)
        if is_news:
            # A batch of the calendar or of the command line has no message of its own that could say so.
            await self._tell(
                f"Batch number {batch_number} stopped: {reason}. What is paid stays paid; the rest is tried again soon."
            )
        self.take_up(batch_number, after_seconds=pause)
        self._summaries_changed.set()

    def guard(self, submit: Callable[[int], int]) -> Callable[[int], int]:
        """Wrap the runner's `submit`: a batch that it refuses because it is full is taken up when there is room."""

        def submit_or_take_up(batch_number: int) -> int:
            try:
                ahead = submit(batch_number)
            except BusyError:
                self.take_up(batch_number, after_seconds=self._resume_seconds)
                raise
            self._submitted.add(batch_number)
            return ahead

        return submit_or_take_up

    def take_up(self, batch_number: int, *, after_seconds: float = 0.0) -> None:
        """Hand an approved batch to the runner as soon as it takes it."""
        self._due[batch_number] = anyio.current_time() + after_seconds
        self._batches_due.set()

    async def resubmit_unfinished(self) -> list[int]:
        """Take up all that an earlier process left unfinished; return the batch numbers."""
        self._submitted.clear()
        numbers = await self._database.read(batches.unfinished)
        for number in numbers:
            logger.info("batch number %d was left unfinished; it goes on", number, extra={"batch_number": number})
            self.take_up(number)
        return numbers

    async def run(self, submit: Callable[[int], int]) -> None:
        """Submit what is due, for ever."""
        while True:
            try:
                if self._look_seconds is not None:
                    await self._look()
                await self._submit_due(submit)
            except CashbackError as error:
                logger.warning("unfinished batches wait: %s", error)
                await anyio.sleep(self._resume_seconds)
            latest = anyio.current_time() + (self._look_seconds or IDLE_SECONDS)
            nearest = min([latest, *self._due.values()])
            await self._batches_due.wait(max(nearest - anyio.current_time(), 0.0))

    async def _look(self) -> None:
        """Take up what another process approved or resumed, and have shown what changed there."""
        for number in await self._database.read(batches.unfinished):
            if number not in self._submitted and number not in self._due:
                self.take_up(number)
        summaries = await self._database.read(announcements.open_summaries)
        if summaries != self._seen:
            self._seen = summaries
            self._summaries_changed.set()

    async def _submit_due(self, submit: Callable[[int], int]) -> None:
        now = anyio.current_time()
        due = sorted(number for number, moment in self._due.items() if moment <= now)
        if not due:
            return
        unfinished = await self._database.read(batches.unfinished)
        for number in due:
            del self._due[number]
            if number not in unfinished:
                # Somebody else settled it meanwhile.
                self.reasons.pop(number, None)
                self._summaries_changed.set()
                continue
            try:
                submit(number)
                self._submitted.add(number)
            except BusyError:
                self._due[number] = now + self._resume_seconds
