"""The machine's clock and Discord's, on a virtual loop clock."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from cashback.domain.clock import ClockCheck
from tests.conftest import FRIDAY, Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:  # noqa: ANN401 -- a name with options
    """Run on trio and its clock."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def test_clock_is_believed_before_discord_has_answered(clock: Clock) -> None:
    check = ClockCheck(clock, timer=anyio.current_time)
    assert (check.is_doubted, check.is_confirmed) == (False, True)
    assert not ClockCheck(clock, waits_for_discord=True).is_confirmed


@pytest.mark.parametrize("seconds", [-60, -59, 0, 59, 60])
async def test_difference_of_a_minute_is_agreement(clock: Clock, seconds: float) -> None:
    check = ClockCheck(clock, timer=anyio.current_time)
    check.compare(clock() + timedelta(seconds=seconds), asked_at=clock())
    assert not check.is_doubted


@pytest.mark.parametrize("seconds", [-61, 61, 86_400, -86_400])
async def test_larger_difference_is_logged_once_until_it_ends(
    clock: Clock, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    caplog.set_level(logging.INFO)
    check = ClockCheck(clock, timer=anyio.current_time)
    for _ in range(3):
        check.compare(clock() - timedelta(seconds=seconds), asked_at=clock())
        assert check.is_doubted
    assert check.difference == timedelta(seconds=seconds)
    for _ in range(3):
        check.compare(clock(), asked_at=clock())
        assert not check.is_doubted
    wrong = f"{'61 s' if abs(seconds) == 61 else '1 d 0 h'} {'ahead of' if seconds > 0 else 'behind'}"
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"this machine's clock is {wrong} Discord's;")
    assert last == "this machine's clock and Discord's agree again"


async def test_jump_is_doubted_before_discord_answers_again(clock: Clock) -> None:
    check = ClockCheck(clock, timer=anyio.current_time)
    check.compare(clock(), asked_at=clock())
    clock.advance(86_400 * 60)
    assert check.is_doubted
    clock.advance(-86_400 * 60)
    assert not check.is_doubted


async def test_clock_that_goes_with_the_loop_is_believed(clock: Clock) -> None:
    check = ClockCheck(clock, timer=anyio.current_time)
    check.compare(clock(), asked_at=clock())
    await anyio.sleep(86_400)
    clock.advance(86_400)
    assert not check.is_doubted
    assert check.is_stale


async def test_slow_answer_says_nothing_against_the_clock(clock: Clock) -> None:
    check, asked_at = ClockCheck(clock, timer=anyio.current_time), clock()
    clock.advance(600)
    check.compare(asked_at, asked_at=asked_at)
    assert not check.is_doubted


async def test_moment_before_discord_existed_is_doubted() -> None:
    assert ClockCheck(lambda: datetime(1970, 1, 1, 0, 5, tzinfo=UTC)).is_doubted
    assert not ClockCheck(lambda: FRIDAY).is_doubted
