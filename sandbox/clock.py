"""The clocks that a local Discord may go by: Unix seconds from somewhere."""

from __future__ import annotations

import time


def real_time() -> float:
    """Read the machine's clock; looked up at each call, so that who freezes `time.time` freezes the deadlines too."""
    return time.time()


class ManualClock:
    """A clock that stands still until a test moves it.

    It starts at the machine's time: a client compares the age of an interaction's id with that, and takes an old one
    for expired.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = time.time() if seconds is None else seconds

    def __call__(self) -> float:
        """Read it."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Move it on."""
        self.seconds += seconds
