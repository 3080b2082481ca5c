"""Lines on their way to standard error: in order, bounded, and never waited for."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from cashback.log_writer import LogWriter, QueueingHandler


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_lines_are_written_in_their_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    handler = QueueingHandler(LogWriter(writing))
    for number in range(100):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
    handler.flush()
    assert os.read(reading, 10_000).decode().splitlines() == [f"line {number}" for number in range(100)]


def test_lines_that_nobody_reads_are_dropped_and_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LogWriter(writing, lines_kept=50)
    line = "x" * 8191 + "\n"
    for _ in range(1000):
        writer.put(line)
    assert not writer.drain(0.01)
    text = b""
    while b"dropped" not in text:
        text += os.read(reading, 65_536)
    *written, last = text.decode().splitlines()
    assert set(written) == {line.strip()}
    assert last == f"warning: {1000 - len(written)} lines of the log were dropped, since nobody read them"
    assert writer.drain()


def test_reader_that_has_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LogWriter(writing)
    for _ in range(10):
        writer.put("line\n")
    assert writer.drain()
    os.close(writing)
