"""Chunks grow while nobody else writes, and begin anew as soon as somebody waits."""

from __future__ import annotations

import pytest
from freezegun import freeze_time

from cashback.background.pace import FIRST, LONG_SECONDS, QUIET_SECONDS, Pace


def test_chunks_double_up_to_the_most_while_nobody_waits() -> None:
    pace = Pace(most=5 * FIRST)
    sizes = [pace.size]
    for _ in range(4):
        pace.note(0.01, is_awaited=False)
        sizes.append(pace.size)
    assert sizes == [FIRST, 2 * FIRST, 4 * FIRST, 5 * FIRST, 5 * FIRST]


@pytest.mark.parametrize("most", [1, 7, FIRST])
def test_chunk_is_never_larger_than_the_most(most: int) -> None:
    pace = Pace(most=most)
    pace.note(0.01, is_awaited=False)
    assert pace.size == most


def test_a_long_chunk_does_not_grow_and_a_very_long_one_shrinks() -> None:
    pace = Pace(most=8 * FIRST)
    pace.note(0.01, is_awaited=False)
    pace.note(LONG_SECONDS, is_awaited=False)
    assert pace.size == 2 * FIRST
    pace.note(5 * LONG_SECONDS, is_awaited=False)
    pace.note(5 * LONG_SECONDS, is_awaited=False)
    assert pace.size == FIRST


def test_chunks_are_small_until_nobody_has_waited_for_a_while() -> None:
    pace = Pace(most=8 * FIRST)
    pace.note(0.01, is_awaited=False)
    with freeze_time("2026-01-02 15:00:00") as clock:
        pace.note(0.01, is_awaited=True)
        assert pace.size == FIRST
        pace.note(0.01, is_awaited=False)
        assert pace.size == FIRST
        clock.tick(QUIET_SECONDS)
        pace.note(0.01, is_awaited=False)
        assert pace.size == 2 * FIRST
