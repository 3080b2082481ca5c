"""Growing pauses after failures, so that a lasting failure costs few attempts."""

from math import inf
from typing import Final

import anyio

REQUEST_SECONDS: Final = 30
FIRST_RETRY_SECONDS: Final = 5
LONGEST_RETRY_SECONDS: Final = 300
MAX_DOUBLINGS: Final = 16


def pause_after(failures: int, *, first_seconds: float, longest_seconds: float = inf) -> float:
    """Return the pause after so many earlier failures: it doubles with each one, up to the longest."""
    pause: float = first_seconds * 2 ** min(failures, MAX_DOUBLINGS)
    return min(pause, longest_seconds)


class Backoff:
    """The pause after failures. It doubles with each failure, up to the longest."""

    def __init__(self, *, first_seconds: float | None = None, longest_seconds: float = LONGEST_RETRY_SECONDS) -> None:
        """`first_seconds` is FIRST_RETRY_SECONDS by default, read here so that a test can shorten it."""
        self._first_seconds = FIRST_RETRY_SECONDS if first_seconds is None else first_seconds
        self._longest_seconds = longest_seconds
        self._failures = 0
        self._next_at = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether it is too early for another attempt."""
        return self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """The seconds until the next attempt; 0 if the last one succeeded."""
        return max(self._next_at - anyio.current_time(), 0.0) if self._failures else 0.0

    def succeed(self) -> None:
        """Record that an attempt succeeded."""
        self._failures = 0

    def fail(self) -> float:
        """Record that an attempt failed; return the pause in seconds."""
        pause = pause_after(self._failures, first_seconds=self._first_seconds, longest_seconds=self._longest_seconds)
        self._next_at = anyio.current_time() + pause
        self._failures += 1
        return pause
