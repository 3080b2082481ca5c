"""How long the event loop is blocked, and how long a reader waits, while a batch is paid.

The baseline is the same measurement while another thread writes the same rows raw: the remaining delay is the
machine's.
"""

import gc
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from cashback.database import Database
from verification.bench.baselines import credit_known
from verification.bench.crediting import pay
from verification.bench.datasets import FIRST_REFERRER, all_pending
from verification.bench.measuring import Case

WAKE_SECONDS: Final = 0.002
READ_SECONDS: Final = 0.01


class LoopWatch:
    """Wakes every two milliseconds and records how late it was, and the computing time of this process."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.late_seconds: list[float] = []
        self.computed_seconds: list[float] = []

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            before, computed_before = time.perf_counter(), time.process_time()
            await anyio.sleep(WAKE_SECONDS)
            late = time.perf_counter() - before - WAKE_SECONDS
            self.late_seconds.append(late)
            self.computed_seconds.append(min(late, time.process_time() - computed_before))
            self.moments.append(time.monotonic())


class Reader:
    """Queries repeatedly what one member is owed, and records how long the answer takes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.seconds: list[float] = []

    async def run(self) -> None:
        """Query until cancelled."""
        while True:
            before = time.perf_counter()
            await self._database.get_pending_cashback_for_user(FIRST_REFERRER)
            self.seconds.append(time.perf_counter() - before)
            await anyio.sleep(READ_SECONDS)


async def _watched(database: Database, work: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Watch loop and reader until the work is done."""
    watch, reader = LoopWatch(), Reader(database)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run)
        tasks.start_soon(reader.run)
        await work()
        tasks.cancel_scope.cancel()
    return {
        "held, 99.9%": _share(watch.late_seconds, 0.999),
        "held, longest": max(watch.late_seconds),
        "held by itself, longest": max(watch.computed_seconds),
        "a read, 99%": _share(reader.seconds, 0.99),
    }


def _share(seconds: list[float], share: float) -> float:
    return sorted(seconds)[int(len(seconds) * share)]


async def _watch_pipeline(path: Path) -> dict[str, float]:
    async with Database(path) as database:
        return await _watched(database, lambda: pay(database))


async def _watch_raw(path: Path) -> dict[str, float]:
    async with Database(path) as database:
        return await _watched(database, lambda: anyio.to_thread.run_sync(credit_known, path))


def watch_pipeline(path: Path) -> dict[str, float]:
    """Watch while the pipeline pays, with imported modules frozen out of the collector, as in the bot."""
    gc.freeze()
    return anyio.run(_watch_pipeline, path)


def watch_raw(path: Path) -> dict[str, float]:
    """Watch while another thread writes the same rows."""
    return anyio.run(_watch_raw, path)


def cases(*, full: bool) -> list[Case]:
    """Watch the loop during one large batch."""
    return [
        Case(
            name="event loop",
            rows=1_000_000 if full else 100_000,
            prepare=all_pending,
            program=watch_pipeline,
            baseline=watch_raw,
            seconds={"held, 99.9%": 0.010, "held, longest": 0.020},
            rounds=2,
        )
    ]
