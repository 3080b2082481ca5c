"""The runner: takes approved batches from its inbox, one at a time, and sends each through the four stages."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio

from cashback.domain.errors import BusyError, CashbackError
from cashback.domain.log_context import BatchInHand, log_context
from cashback.domain.model import BatchReport, ChunkCredited, ChunkDiscovered
from cashback.domain.ports import Observer
from pipeline.actor import CHANNEL_SIZE, Stage, run_actor
from pipeline.messages import RunBatch

INBOX_SIZE = 16
"""Batches that may wait for the running one. One more is refused with a message rather than queued unseen."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The four stages of one run, in the order of the work."""

    discovery: Stage[RunBatch, ChunkDiscovered]
    crediting: Stage[ChunkDiscovered, ChunkCredited]
    notification: Stage[ChunkCredited, ChunkCredited]
    audit: Stage[ChunkCredited, BatchReport]

    async def run(self, request: RunBatch) -> BatchReport:
        """Pay one batch and return its report. An exception leaves the batch as its rows are, to be resumed."""
        requests, discovery_inbox = anyio.create_memory_object_stream[RunBatch](1)
        # A chunk is looked for while the one before it is credited, and no further ahead: so that its size fits.
        discovered, crediting_inbox = anyio.create_memory_object_stream[ChunkDiscovered](0)
        credited, notification_inbox = anyio.create_memory_object_stream[ChunkCredited](CHANNEL_SIZE)
        queued, audit_inbox = anyio.create_memory_object_stream[ChunkCredited](CHANNEL_SIZE)
        audited, reports = anyio.create_memory_object_stream[BatchReport](1)
        # No await before the stages own their ends: a cancellation here would leave the ends open.
        with requests:
            requests.send_nowait(request)
        async with reports:
            async with anyio.create_task_group() as stages:
                stages.start_soon(run_actor, self.discovery, discovery_inbox, discovered, name="discovery")
                stages.start_soon(run_actor, self.crediting, crediting_inbox, credited, name="crediting")
                stages.start_soon(run_actor, self.notification, notification_inbox, queued, name="notification")
                stages.start_soon(run_actor, self.audit, audit_inbox, audited, name="audit")
            return await reports.receive()


class Runner:
    """Decides when a batch runs. Start `run` in a task group; call `submit` from anywhere in the loop."""

    def __init__(self, make_pipeline: Callable[[RunBatch], Pipeline], observer: Observer) -> None:
        """`make_pipeline` makes the pipeline of one run; `observer` is notified how the runs end."""
        self._make_pipeline = make_pipeline
        self._observer = observer
        self._send, self._inbox = anyio.create_memory_object_stream[RunBatch](INBOX_SIZE)
        self._unsettled = 0

    @property
    def unsettled(self) -> int:
        """How many batches are running or waiting."""
        return self._unsettled

    def submit(self, batch_number: int) -> int:
        """Queue an approved batch and return how many are ahead of it.

        Raises BusyError if the inbox is full or the runner is closed: the batch stays approved in the database, and
        `resume` finds it.
        """
        ahead = self._unsettled
        try:
            self._send.send_nowait(RunBatch(batch_number=batch_number))
        except anyio.WouldBlock as full:
            message = (
                f"{ahead} batches are waiting already; batch {batch_number} is approved and will run after a resume."
            )
            raise BusyError(message) from full
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as closed:
            message = f"The program is stopping; batch {batch_number} is approved and will run after a resume."
            raise BusyError(message) from closed
        self._unsettled += 1
        return ahead

    def close(self) -> None:
        """Accept no more batches; `run` returns when the waiting ones are done."""
        self._send.close()

    async def __aenter__(self) -> Self:
        """Return the runner itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both ends of the inbox."""
        self._send.close()
        self._inbox.close()

    async def run(self) -> None:
        """Pay batch after batch until `close`. A run that fails is reported and does not end the runner."""
        async for request in self._inbox:
            try:
                await self._run_one(request)
            finally:
                self._unsettled -= 1

    async def _run_one(self, request: RunBatch) -> None:
        before = log_context.set(BatchInHand(number=request.batch_number))
        try:
            await self._run_and_tell(request)
        finally:
            log_context.reset(before)

    async def _run_and_tell(self, request: RunBatch) -> None:
        report = None
        try:
            report = await self._make_pipeline(request).run(request)
        except* Exception as error:
            # If the program stops at this moment, the cancellation propagates besides the error handled here.
            reason = explain(error)
            # If the message says all, a traceback would add nothing.
            is_told = error.split(CashbackError)[1] is None
            logger.exception("batch %d: the run ended early: %s", request.batch_number, reason, exc_info=not is_told)
            await self._observer.interrupted(request.batch_number, reason)
        if report is not None:
            await self._observer.finished(report)


def explain(error: BaseException) -> str:
    """Describe an error, or the first one inside a group, in one line for a person."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split()) or "no further details"
    return text if isinstance(error, CashbackError) else f"{type(error).__name__}: {text}"
