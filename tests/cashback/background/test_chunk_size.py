"""Chunks grow while nobody else writes, and begin again as soon as somebody waits."""

from __future__ import annotations

import pytest
from freezegun import freeze_time

from cashback.background.chunk_size import FIRST, LONG_SECONDS, QUIET_SECONDS, ChunkSize


def test_chunks_double_up_to_the_most_while_nobody_waits() -> None:
    chunk_size = ChunkSize(most=5 * FIRST)
    sizes = [chunk_size.now]
    for _ in range(4):
        chunk_size.note(0.01, is_awaited=False)
        sizes.append(chunk_size.now)
    assert sizes == [FIRST, 2 * FIRST, 4 * FIRST, 5 * FIRST, 5 * FIRST]


@pytest.mark.parametrize("most", [1, 7, FIRST])
def test_chunk_is_never_larger_than_the_most(most: int) -> None:
    chunk_size = ChunkSize(most=most)
    chunk_size.note(0.01, is_awaited=False)
    assert chunk_size.now == most


def test_a_long_chunk_does_not_grow_and_a_very_long_one_shrinks() -> None:
    chunk_size = ChunkSize(most=8 * FIRST)
    chunk_size.note(0.01, is_awaited=False)
    chunk_size.note(LONG_SECONDS, is_awaited=False)
    assert chunk_size.now == 2 * FIRST
    chunk_size.note(5 * LONG_SECONDS, is_awaited=False)
    chunk_size.note(5 * LONG_SECONDS, is_awaited=False)
    assert chunk_size.now == FIRST


def test_chunks_are_small_until_nobody_has_waited_for_a_while() -> None:
    chunk_size = ChunkSize(most=8 * FIRST)
    chunk_size.note(0.01, is_awaited=False)
    with freeze_time("2026-01-02 15:00:00") as clock:
        chunk_size.note(0.01, is_awaited=True)
        assert chunk_size.now == FIRST
        chunk_size.note(0.01, is_awaited=False)
        assert chunk_size.now == FIRST
        clock.tick(QUIET_SECONDS)
        chunk_size.note(0.01, is_awaited=False)
        assert chunk_size.now == 2 * FIRST
