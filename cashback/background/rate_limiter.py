"""Spaces out the requests to a service with a rate limit, and pauses all of them when the service asks for it."""

from collections import deque
from typing import Final

import anyio

REFUSALS_ALLOWED: Final = 5_000
REFUSAL_SECONDS: Final = 600
"""Discord blocks an address after 10,000 refusals in ten minutes, and a closed inbox counts: half of them are used."""


class RateLimiter:
    """Grants turns an interval apart, in the order of the calls; a late turn does not delay the next ones."""

    def __init__(self, *, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next_at = 0.0
        self._asking = anyio.Lock()
        self._refusals: deque[float] = deque(maxlen=REFUSALS_ALLOWED)

    async def acquire(self) -> None:
        """Wait for a turn."""
        async with self._asking:
            while self._next_at > anyio.current_time():  # noqa: ASYNC110 -- a pause moves the turn meanwhile
                await anyio.sleep_until(self._next_at)
            self._next_at = max(self._next_at, anyio.current_time() - self._interval) + self._interval

    def pause(self, seconds: float) -> None:
        """Grant no turn for so many seconds, not even to tasks already waiting."""
        self._next_at = max(self._next_at, anyio.current_time() + seconds)

    def note_refusal(self) -> bool:
        """Count a refusal; return True if there were so many recently that requests now pause."""
        now = anyio.current_time()
        self._refusals.append(now)
        left = self._refusals[0] + REFUSAL_SECONDS - now
        too_many = len(self._refusals) == REFUSALS_ALLOWED and left > 0
        if too_many:
            self.pause(left)
        return too_many
