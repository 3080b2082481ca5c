"""How many payouts share a transaction: more while nobody else wants to write, few as soon as somebody does."""

import time
from typing import Final

FIRST: Final = 500
LONG_SECONDS: Final = 0.5
"""After a transaction that takes longer, the next one does not grow; after one of twice as long, it shrinks."""

QUIET_SECONDS: Final = 2.0
"""How long nobody may have waited before chunks grow again."""


class ChunkSize:
    """The size of the next chunk. In a ledger that has grown, a larger one changes each page fewer times."""

    def __init__(self, *, most: int) -> None:
        """`most` is the largest size."""
        self._most = most
        self._first = min(FIRST, most)
        self._quiet_since = float("-inf")
        self.now = self._first

    def note(self, seconds: float, *, is_awaited: bool) -> None:
        """Note how long a chunk held the ledger, and whether somebody waits to write."""
        now = time.monotonic()
        if is_awaited:
            self.now, self._quiet_since = self._first, now
        elif seconds > 2 * LONG_SECONDS:
            self.now = max(self.now // 2, self._first)
        elif seconds < LONG_SECONDS and now - self._quiet_since >= QUIET_SECONDS:
            self.now = min(2 * self.now, self._most)
