"""RateLimiter on a virtual clock."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest
from trio.testing import MockClock

from cashback.background.rate_limiter import REFUSAL_SECONDS, REFUSALS_ALLOWED, RateLimiter

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:  # noqa: ANN401 -- a name with options
    """Run on trio with a clock that jumps to the next deadline when everybody waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def test_turns_are_granted_in_order_an_interval_apart() -> None:
    rate_limiter, given = RateLimiter(per_second=4), list[tuple[float, int]]()
    start = anyio.current_time()

    async def ask(number: int) -> None:
        await rate_limiter.acquire()
        given.append((anyio.current_time() - start, number))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(ask, number)
            await anyio.lowlevel.checkpoint()
    assert [number for _, number in given] == [0, 1, 2, 3, 4]
    assert [time for time, _ in given[1:]] == pytest.approx([given[1][0] + 0.25 * n for n in range(4)])


async def test_pause_delays_waiting_tasks() -> None:
    rate_limiter = RateLimiter(per_second=1)
    await rate_limiter.acquire()
    await rate_limiter.acquire()
    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rate_limiter.acquire)
        await anyio.sleep(0.5)
        rate_limiter.pause(60)
    assert anyio.current_time() - start == pytest.approx(60.5)


async def test_many_refusals_cause_a_pause() -> None:
    rate_limiter = RateLimiter(per_second=1000)
    assert not any(rate_limiter.note_refusal() for _ in range(REFUSALS_ALLOWED - 1))
    await anyio.sleep(100)
    start = anyio.current_time()
    assert rate_limiter.note_refusal()
    await rate_limiter.acquire()
    assert anyio.current_time() - start == pytest.approx(REFUSAL_SECONDS - 100)
    assert not rate_limiter.note_refusal()


async def test_distant_refusals_cause_no_pause() -> None:
    rate_limiter = RateLimiter(per_second=1000)
    for _ in range(REFUSALS_ALLOWED + 10):
        assert not rate_limiter.note_refusal()
        await anyio.sleep(REFUSAL_SECONDS / REFUSALS_ALLOWED * 1.01)
