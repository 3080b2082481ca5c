"""How often a bot may identify in a day: `session_start_limit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.model import Json

DAY_SECONDS = 86_400


class SessionStarts:
    """Counts IDENTIFYs. `remaining` and `reset_seconds` may be set."""

    def __init__(self, clock: Callable[[], float], total: int) -> None:
        self._clock = clock
        self.total = self.remaining = total
        self.spent = 0
        self._reset_at = clock() + DAY_SECONDS

    @property
    def reset_seconds(self) -> float:
        """The seconds until all starts are there again."""
        return max(self._reset_at - self._clock(), 0.0)

    @reset_seconds.setter
    def reset_seconds(self, seconds: float) -> None:
        self._reset_at = self._clock() + seconds

    def limit(self) -> Json:
        """Return what Discord answers."""
        self._renew()
        return {
            "total": self.total,
            "remaining": self.remaining,
            "reset_after": int(self.reset_seconds * 1000),
            "max_concurrency": 1,
        }

    def spend(self) -> bool:
        """Count an IDENTIFY; return False if it is one too many."""
        self._renew()
        self.spent += 1
        self.remaining -= 1
        return self.remaining >= 0

    def _renew(self) -> None:
        if self._clock() >= self._reset_at:
            self.remaining = self.total
            self._reset_at = self._clock() + DAY_SECONDS
