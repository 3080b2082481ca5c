"""Crediting through the whole pipeline: propose, approve, discover, credit, queue, audit."""

import time
from pathlib import Path

import anyio

from database import Database, approvals, proposals
from pipeline.messages import BatchReport, RunBatch
from pipeline.ports import Silence
from stages import Bell, make_pipeline


class LoopWatch:
    """Measures how long the event loop is held: a task that wakes every two milliseconds."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.late_seconds: list[float] = []
        self.moments: list[float] = []
        self.computed_seconds: list[float] = []

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            before, computed_before = time.perf_counter(), time.process_time()
            await anyio.sleep(0.002)
            late = time.perf_counter() - before - 0.002
            self.late_seconds.append(late)
            self.computed_seconds.append(min(late, time.process_time() - computed_before))
            self.moments.append(time.monotonic())


async def _pay(path: Path) -> tuple[BatchReport, float, list[float]]:
    watch = LoopWatch()
    async with Database(path) as database, anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run)
        start = time.perf_counter()
        summary = await database.write(proposals.propose, actor="bench", now=database.now(), expires_at=None)
        await database.write(approvals.approve, summary.batch_number, actor="bench", now=database.now())
        request = RunBatch(batch_number=summary.batch_number)
        pipeline = make_pipeline(request, database=database, observer=Silence(), bell=Bell(), chunk_size=500)
        report = await pipeline.run(request)
        seconds = time.perf_counter() - start
        tasks.cancel_scope.cancel()
    return report, seconds, watch.late_seconds


def credit(path: Path) -> tuple[int, float, list[float]]:
    """Pay everything pending; return the number of payouts, the seconds, and how late the loop was each time."""
    report, seconds, late = anyio.run(_pay, path)
    return report.users_paid, seconds, late
