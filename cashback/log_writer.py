"""Writes the log's lines to standard error in a thread of its own, so that a full pipe never holds the program.

The queue is bounded: if nobody reads, lines are dropped, and their number is written when somebody reads again.
"""

import logging
import os
import sys
import threading
from collections import deque
from typing import Final

LINES_KEPT: Final = 2_000
DRAIN_SECONDS: Final = 1.0
STANDARD_ERROR: Final = 2


class LogWriter:
    """Lines on their way to a file descriptor. `put` never waits."""

    def __init__(self, descriptor: int = STANDARD_ERROR, *, lines_kept: int = LINES_KEPT) -> None:
        self._descriptor = descriptor
        self._lines_kept = lines_kept
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._dropped_before = 0
        self._changed = threading.Condition()
        self._is_writing = False
        threading.Thread(target=self._write_lines, name="log", daemon=True).start()

    @property
    def dropped(self) -> int:
        """How many lines were dropped since the start."""
        return self._dropped_before + self._dropped

    def put(self, line: str) -> None:
        """Queue a line; drop it if too many wait."""
        with self._changed:
            if len(self._lines) >= self._lines_kept:
                self._dropped += 1
            else:
                self._lines.append(line)
                self._changed.notify_all()

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait until all is written, at most so long; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._lines or self._dropped or self._is_writing), seconds)

    def _write_lines(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._dropped)
                line = self._next_line()
                self._is_writing = True
            self._write(line.encode(errors="backslashreplace"))

    def _next_line(self) -> str:
        if self._lines:
            return self._lines.popleft()
        dropped, self._dropped = self._dropped, 0
        self._dropped_before += dropped
        return f"warning: {dropped} lines of the log were dropped, since nobody read them\n"

    def _write(self, text: bytes) -> None:
        """Write without Python's own stream: its lock would hold up the end of the program."""
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:
            # Nobody reads any more, or the disk is full: the program goes on without a log.
            return


class QueueingHandler(logging.Handler):
    """Formats a record where it is logged, and leaves the writing to the writer's thread."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line."""
        try:
            self._writer.put(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 -- as logging's own handlers
            self.handleError(record)

    def flush(self) -> None:
        """Wait a moment for the lines on their way: Python flushes at its end."""
        self._writer.drain()


def is_terminal() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()
