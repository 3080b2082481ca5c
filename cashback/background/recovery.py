"""Watches the runner, and resubmits batches that it could not finish after a restart, a fault, or a full inbox.

If several bots share a ledger, it also finds batches that were approved at another bot.
"""

import logging
from collections.abc import Callable
from typing import Final

import anyio

from cashback.background.backoff import Backoff
from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import announcements, batches
from cashback.database.payouts.announcements import OpenSummary
from cashback.domain.errors import BusyError, CashbackError
from cashback.domain.model import BatchReport, ChunkCredited
from cashback.domain.ports import PostLine

RESUME_SECONDS: Final = 30
"""The pause before an interrupted batch is resumed; it doubles each further time, up to a maximum."""

LONGEST_RESUME_SECONDS: Final = 600
IDLE_SECONDS: Final = 3600

logger = logging.getLogger(__name__)


class Recovery:
    """The runner's observer; it resumes batches."""

    def __init__(
        self,
        database: Database,
        *,
        summaries_changed: WakeUp,
        batches_due: WakeUp,
        post_line: PostLine,
        resume_seconds: float = RESUME_SECONDS,
        poll_seconds: float | None = None,
    ) -> None:
        """`poll_seconds` is how often the ledger is read for changes by other processes.

        None if there are no others.
        """
        self._poll_seconds = poll_seconds
        self._seen: list[OpenSummary] = []
        self._submitted: set[int] = set()
        self._database = database
        self._post_line = post_line
        self._summaries_changed = summaries_changed
        self._batches_due = batches_due
        self._resume_seconds = resume_seconds
        self._due: dict[int, float] = {}
        self._backoffs: dict[int, Backoff] = {}
        self.reasons: dict[int, str] = {}
        """Why a batch is interrupted, by its number."""

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Forget why the batch was interrupted, because it makes progress again."""
        self.reasons.pop(chunk.batch_number, None)

    async def finished(self, report: BatchReport) -> None:
        """Update the batch's summary with the result."""
        self._submitted.discard(report.batch_number)
        self.reasons.pop(report.batch_number, None)
        self._backoffs.pop(report.batch_number, None)
        logger.info(
            "batch %s is %s: %d paid, %d failed", report.batch_id, report.status, report.users_paid, report.failed
        )
        try:
            await self._database.write(announcements.reopen_summary, report.batch_number)
        except CashbackError as error:
            logger.warning("batch %s: its summary may be out of date: %s", report.batch_id, error)
        self._summaries_changed.set()

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Show the reason in the batch's summary, and resume the batch later."""
        self._submitted.discard(batch_number)
        backoff = self._backoffs.setdefault(
            batch_number, Backoff(first_seconds=self._resume_seconds, longest_seconds=LONGEST_RESUME_SECONDS)
        )
        pause = backoff.fail()
        is_news = self.reasons.get(batch_number) != reason
        self.reasons[batch_number] = reason
        logger.warning("batch number %d stopped (%s); it is resumed in %.0f s", batch_number, reason, pause)
        if is_news:
            # A batch of the schedule or the command line has no summary message to show it.
            await self._post_line(
                f"Batch number {batch_number} stopped: {reason}. What is paid stays paid; the rest is tried again soon."
            )
        self.take_up(batch_number, after_seconds=pause)
        self._summaries_changed.set()

    def wrap_submit(self, submit: Callable[[int], int]) -> Callable[[int], int]:
        """Wrap the runner's `submit`: if it refuses a batch because it is full, submit it when there is room."""

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
        """Submit an approved batch to the runner as soon as it accepts it."""
        self._due[batch_number] = anyio.current_time() + after_seconds
        self._batches_due.set()

    async def resubmit_unfinished(self) -> list[int]:
        """Submit all batches that an earlier process left unfinished; return their numbers."""
        self._submitted.clear()
        numbers = await self._database.read(batches.unfinished)
        for number in numbers:
            logger.info("batch number %d was left unfinished; it is resumed", number, extra={"batch_number": number})
            self.take_up(number)
        return numbers

    async def run(self, submit: Callable[[int], int]) -> None:
        """Submit batches that are due, until cancelled."""
        while True:
            try:
                if self._poll_seconds is not None:
                    await self._look()
                await self._submit_due(submit)
            except CashbackError as error:
                logger.warning("unfinished batches wait: %s", error)
                await anyio.sleep(self._resume_seconds)
            latest = anyio.current_time() + (self._poll_seconds or IDLE_SECONDS)
            nearest = min([latest, *self._due.values()])
            await self._batches_due.wait(max(nearest - anyio.current_time(), 0.0))

    async def _look(self) -> None:
        """Submit batches that another process approved or resumed, and update the summaries that changed there."""
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
                # Another process has settled it in the meantime.
                self.reasons.pop(number, None)
                self._summaries_changed.set()
                continue
            try:
                submit(number)
                self._submitted.add(number)
            except BusyError:
                self._due[number] = now + self._resume_seconds
