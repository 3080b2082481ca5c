"""Spaces out the requests to a service that counts them, and pauses all of them when the service asks for it."""

from collections import deque
from typing import Final

import anyio

REFUSALS_ALLOWED: Final = 5_000
REFUSAL_SECONDS: Final = 600
"""Discord blocks an address after 10,000 refusals in ten minutes, and a closed inbox counts: half of them are used."""


class RateLimiter:
    """Gives turns an interval apart, in the order of asking; a late one does not push the next ones back."""

    def __init__(self, *, per_second: float) -> None:
        """Take the pace."""
        self._interval = 1 / per_second
        self._next_at = 0.0
        self._asking = anyio.Lock()
        self._refusals: deque[float] = deque(maxlen=REFUSALS_ALLOWED)

    async def wait(self) -> None:
        """Wait for a turn."""
        async with self._asking:
            while self._next_at > anyio.current_time():  # noqa: ASYNC110 -- a pause moves the turn meanwhile
                await anyio.sleep_until(self._next_at)
            self._next_at = max(self._next_at, anyio.current_time() - self._interval) + self._interval

    def pause(self, seconds: float) -> None:
        """Give no turn for so long, also to those who wait for one."""
        self._next_at = max(self._next_at, anyio.current_time() + seconds)

    def note_refusal(self) -> bool:
        """Count a refusal; True where there were so many of late that there is a pause now."""
        now = anyio.current_time()
        self._refusals.append(now)
        left = self._refusals[0] + REFUSAL_SECONDS - now
        too_many = len(self._refusals) == REFUSALS_ALLOWED and left > 0
        if too_many:
            self.pause(left)
        return too_many
