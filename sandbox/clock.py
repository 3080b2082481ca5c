"""Clocks for a local Discord: callables that return Unix seconds."""

from __future__ import annotations

import time


def real_time() -> float:
    """Read the machine's clock.

    `time.time` is looked up at each call, so that freezing it freezes the deadlines too.
    """
    return time.time()


class ManualClock:
    """A clock that a test advances.

    It starts at the machine's time: a client compares an interaction id's age with that, and treats an old one as
    expired.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = time.time() if seconds is None else seconds

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self.seconds += seconds
