"""The runner: one batch at a time, a bounded inbox, and a failing run that ends nothing but itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import pytest

from cashback.domain.errors import BusyError, StaleBatchError
from cashback.domain.model import BatchMode, BatchReport, BatchStatus, ChunkCredited, ChunkDiscovered
from pipeline.actor import Emit
from pipeline.messages import RunBatch
from pipeline.runner import INBOX_SIZE, Pipeline, Runner, explain
from tests.conftest import FRIDAY, Recorder

pytestmark = pytest.mark.anyio


def a_report(number: int) -> BatchReport:
    """Build a report of a batch without payouts."""
    return BatchReport(
        batch_number=number,
        batch_id=f"BATCH-{number}",
        status=BatchStatus.COMPLETED,
        mode=BatchMode.BATCH,
        target_user_id=None,
        proposed_by="cli",
        approved_by="cli",
        proposed_at=FRIDAY,
        finished_at=FRIDAY,
        users_planned=0,
        approved_cents=0,
        users_paid=0,
        total_cents=0,
        failed=0,
        skipped=0,
    )


@dataclass
class Line:
    """Four stages that pass three chunks on; the first waits at a gate, and one of them may fail."""

    gate: anyio.Event = field(default_factory=anyio.Event)
    begun: list[int] = field(default_factory=list)
    at_once: int = 0
    fails: dict[int, tuple[str, Exception]] = field(default_factory=dict)
    on_failure: Callable[[], None] = lambda: None

    def make(self, request: RunBatch) -> Pipeline:
        """Put the stages of a run together."""
        number = request.batch_number
        return Pipeline(
            discovery=First(self, number),
            crediting=Second(self, number),
            notification=Third(self, number),
            audit=Fourth(self, number),
        )

    def fail(self, stage: str, number: int) -> None:
        """Fail if the test asks for it."""
        where, error = self.fails.get(number, ("", ValueError()))
        if where == stage:
            self.on_failure()
            raise error


@dataclass
class Step:
    """The stages' shared part: they record their calls."""

    line: Line
    number: int


class First(Step):
    async def handle(self, message: RunBatch, emit: Emit[ChunkDiscovered]) -> None:
        self.line.begun.append(self.number)
        self.line.at_once += 1
        assert self.line.at_once == 1
        try:
            await self.line.gate.wait()
            for chunk in range(3):
                await emit(ChunkDiscovered(batch_number=self.number, first_referrer_id=chunk, last_referrer_id=chunk))
            self.line.fail("discovery", self.number)
        finally:
            self.line.at_once -= 1

    async def finish(self, emit: Emit[ChunkDiscovered]) -> None:
        pass


class Second(Step):
    async def handle(self, message: ChunkDiscovered, emit: Emit[ChunkCredited]) -> None:
        self.line.fail("crediting", self.number)
        await emit(ChunkCredited(batch_number=self.number, credited=1, credited_cents=1, failed=0, skipped=0))

    async def finish(self, emit: Emit[ChunkCredited]) -> None:
        pass


class Third(Step):
    async def handle(self, message: ChunkCredited, emit: Emit[ChunkCredited]) -> None:
        self.line.fail("notification", self.number)
        await emit(message)

    async def finish(self, emit: Emit[ChunkCredited]) -> None:
        pass


class Fourth(Step):
    async def handle(self, message: ChunkCredited, emit: Emit[BatchReport]) -> None:
        self.line.fail("audit", self.number)

    async def finish(self, emit: Emit[BatchReport]) -> None:
        self.line.fail("finish", self.number)
        await emit(a_report(self.number))


async def test_batches_run_one_at_a_time_in_order() -> None:
    line, recorder = Line(), Recorder()
    with anyio.fail_after(5):
        async with Runner(line.make, recorder) as runner, anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, name="runner")
            assert [runner.submit(number) for number in (5, 3, 4)] == [0, 1, 2]
            await anyio.wait_all_tasks_blocked()
            assert line.begun == [5]
            assert runner.submit(9) == 3
            line.gate.set()
            runner.close()
    assert [report.batch_number for report in recorder.reports] == [5, 3, 4, 9]
    assert recorder.interruptions == []


async def test_submit_returns_the_queue_length_at_once() -> None:
    line = Line()
    async with Runner(line.make, Recorder()) as runner, anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run, name="runner")
        await anyio.wait_all_tasks_blocked()
        assert [runner.submit(1), runner.submit(2), runner.submit(3)] == [0, 1, 2]
        tasks.cancel_scope.cancel()


async def test_full_inbox_is_refused_and_loses_no_batch() -> None:
    line, recorder = Line(), Recorder()
    with anyio.fail_after(5):
        async with Runner(line.make, recorder) as runner, anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, name="runner")
            runner.submit(0)
            await anyio.wait_all_tasks_blocked()
            for number in range(1, INBOX_SIZE + 1):
                runner.submit(number)
            with pytest.raises(BusyError, match=f"{INBOX_SIZE + 1} batches are waiting already; batch 99 is approved"):
                runner.submit(99)
            line.gate.set()
            await anyio.wait_all_tasks_blocked()
            assert runner.submit(100) == 0
            runner.close()
    assert [report.batch_number for report in recorder.reports] == [*range(INBOX_SIZE + 1), 100]


async def test_closed_runner_refuses_batches() -> None:
    async with Runner(Line().make, Recorder()) as runner:
        runner.close()
        with pytest.raises(BusyError, match="is stopping; batch 7 is approved"):
            runner.submit(7)
        with anyio.fail_after(5):
            await runner.run()


@pytest.mark.parametrize("stage", ["discovery", "crediting", "notification", "audit", "finish"])
async def test_failed_run_is_reported_and_the_next_one_runs(stage: str, caplog: pytest.LogCaptureFixture) -> None:
    """A traceback is logged only if the line does not explain the problem and the remedy."""
    line, recorder = Line(), Recorder()
    line.gate.set()
    line.fails = {1: (stage, StaleBatchError("Somebody was\nfaster.")), 2: (stage, KeyError("x"))}
    with anyio.fail_after(5):
        async with Runner(line.make, recorder) as runner:
            for number in (1, 2, 3):
                runner.submit(number)
            runner.close()
            await runner.run()
    assert recorder.interruptions == [(1, "Somebody was faster."), (2, "KeyError: 'x'")]
    assert [bool(record.exc_info) for record in caplog.records] == [False, True]
    assert [report.batch_number for report in recorder.reports] == [3]


async def test_failed_pipeline_construction_is_reported() -> None:
    recorder = Recorder()

    def make(_request: RunBatch) -> Pipeline:
        raise ZeroDivisionError

    async with Runner(make, recorder) as runner:
        runner.submit(1)
        runner.close()
        await runner.run()
    assert recorder.interruptions == [(1, "ZeroDivisionError: no further details")]


async def test_cancellation_propagates_without_a_report() -> None:
    line, recorder = Line(), Recorder()
    with anyio.fail_after(5):
        async with Runner(line.make, recorder) as runner, anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, name="runner")
            runner.submit(1)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert line.begun == [1]
    assert (recorder.reports, recorder.interruptions) == ([], [])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StaleBatchError, "This batch is no longer in the state that the action needs."),
        (lambda: ExceptionGroup("many", [ExceptionGroup("inner", [ValueError("a\n b")])]), "ValueError: a b"),
        (TimeoutError, "TimeoutError: no further details"),
    ],
)
def test_error_is_explained_in_one_line(error: Callable[[], Exception], words: str) -> None:
    assert explain(error()) == words


async def test_run_failing_during_stop_is_reported() -> None:
    """Found by the simulation: during a cancellation the error got past the runner, and the program crashed."""
    recorder = Recorder()
    with anyio.CancelScope() as stop:
        line = Line(fails={1: ("crediting", StaleBatchError("Gone."))}, on_failure=stop.cancel)
        line.gate.set()
        async with Runner(line.make, recorder) as runner:
            runner.submit(1)
            await runner.run()
    assert recorder.interruptions == [(1, "Gone.")]
    assert recorder.reports == []
