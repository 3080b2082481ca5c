"""Frozen time: a test sets the moment and moves it, and all that waits follows. docs/howto/frozen-time.md is the guide.

Two clocks move together: the wall clock, which freezegun freezes for the whole process, and the event loop's, by which
timers run. Sockets and threads work as ever; nothing that waits for a time goes on before the test moves the clocks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.to_thread
import freezegun
import pytest
from freezegun import api

QUIET_TURNS = 30
"""So many turns of the loop in which nothing happened, with no worker thread busy, are rest."""

QUIET_SECONDS = 0.003
"""Of real time, for which it must be quiet too: what was sent over a socket may be on its way."""

RESTLESS_SECONDS = 20
"""Of real time: who has not come to rest by then never will."""

STUCK_SECONDS = 1.0
"""Of real time: when nobody has moved the clocks for so long and all rest, they go on to the next timer."""

REAL_CLOCKS = ["discord.gateway", "_pytest"]
"""Whose clock stays real: heartbeats are a thread's, and the library takes a connection for dead where it jumps."""


class FrozenTime:
    """The present moment, as everything in this process sees it."""

    def __init__(self, frozen: api.FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch) -> None:
        self._frozen = frozen
        loop: Any = asyncio.get_running_loop()
        self._loop = loop
        self._working = 0
        self._moves = 0
        # One at a time: two who look whether the loop is quiet would each be what the other hears.
        self._listening = anyio.Lock()
        self._began_at = self()
        self._loop_began_at = self._loop.time()
        # Attributes of the loop come before its methods: timers, sleeps and deadlines all ask this one.
        loop.time = self._loop_time
        # A sum of floats that is a hair late is due all the same.
        loop._clock_resolution = 1e-6
        self._run_in_thread = anyio.to_thread.run_sync
        monkeypatch.setattr(anyio.to_thread, "run_sync", self._counted)

    def __call__(self) -> datetime:
        """Return the frozen moment: `datetime.now` is real in the modules that the library spares."""
        return self._frozen().replace(tzinfo=UTC)

    async def jump_to(self, moment: datetime) -> None:
        """Be at a moment at once, as after a sleep of the machine: what fell due in between falls due now, late."""
        await self.rest()
        self._move(moment - self())
        await self.rest()

    async def jump(self, **duration: float) -> None:
        """Be so much later at once: `jump(days=3)`."""
        await self.jump_to(self() + timedelta(**duration))

    async def run_to(self, moment: datetime) -> None:
        """Live up to a moment: every timer that falls due on the way finds the clock at its own moment."""
        await self.rest()
        while (next_at := self._next_timer()) < moment:
            self._move(next_at - self())
            await self.rest()
        await self.jump_to(moment)

    async def run(self, **duration: float) -> None:
        """Live for so long: `run(minutes=2)`."""
        await self.run_to(self() + timedelta(**duration))

    async def run_until(self, condition: Callable[[], object], **limit: float) -> None:
        """Live until something is so: `run_until(…, hours=1)`. Raises TimeoutError where it is not by then."""
        end = self() + timedelta(**limit)
        await self.rest()
        while not condition():
            next_at = self._next_timer()
            if next_at > end:
                raise TimeoutError
            self._move(next_at - self())
            await self.rest()

    async def rest(self) -> None:
        """Let happen all that happens at this moment: queries, requests, events, and what follows from them."""
        async with self._listening:
            began = quiet_since = api.real_monotonic()
            turns = 0
            while turns < QUIET_TURNS or api.real_monotonic() - quiet_since < QUIET_SECONDS:
                await asyncio.sleep(0)
                turns += 1
                if self._working or self._loop._ready:
                    turns, quiet_since = 0, api.real_monotonic()
                if api.real_monotonic() - began > RESTLESS_SECONDS:
                    raise TimeoutError

    async def never_stand_still(self) -> None:
        """Go on to the next timer when everybody waits, the test too: what it waits for may wait for a timer."""
        while True:
            moves = self._moves
            await self._run_in_thread(time.sleep, STUCK_SECONDS, abandon_on_cancel=True)
            if moves == self._moves:
                await self.rest()
            if moves == self._moves:
                self._move(self._next_timer() - self())

    def _next_timer(self) -> datetime:
        """Find when the loop's next timer falls due; a late one is due now."""
        due = [timer.when() for timer in self._loop._scheduled if not timer.cancelled()]
        seconds = min(due) - self._loop.time() if due else 1e9
        # Rounded up: a timer that finds the clock a microsecond early would look again.
        return self() + timedelta(seconds=max(seconds, 0.0), microseconds=1)

    def _move(self, duration: timedelta) -> None:
        self._moves += 1
        self._frozen.tick(duration)

    def _loop_time(self) -> float:
        return float(self._loop_began_at + (self() - self._began_at).total_seconds())

    async def _counted(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- whatever the thread is given
        """Run in a worker thread, and know of it: nobody is at rest while a thread is at work."""
        self._working += 1
        try:
            return await self._run_in_thread(*args, **kwargs)
        finally:
            self._working -= 1


@asynccontextmanager
async def frozen_at(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FrozenTime]:
    """Freeze time at a moment inside the block."""
    with freezegun.freeze_time(moment, real_asyncio=True, ignore=REAL_CLOCKS) as frozen:
        assert isinstance(frozen, api.FrozenDateTimeFactory)
        clocks = FrozenTime(frozen, monkeypatch)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clocks.never_stand_still, name="clocks")
            yield clocks
            tasks.cancel_scope.cancel()
