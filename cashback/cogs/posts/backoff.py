"""How often to try what Discord refused: less and less often, so that a refusal that lasts costs few requests."""

from typing import Final

import anyio

REQUEST_SECONDS: Final = 30
FIRST_RETRY_SECONDS: Final = 5
LONGEST_RETRY_SECONDS: Final = 300


class Backoff:
    """The pause after failures, doubling up to the longest."""

    def __init__(self) -> None:
        """Start without a failure."""
        self._failures = 0
        self._next_at = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether it is too early for another try."""
        return self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """The seconds until another try, 0 where nothing has failed."""
        return max(self._next_at - anyio.current_time(), 0.0) if self._failures else 0.0

    def succeed(self) -> None:
        """Note that a try went well."""
        self._failures = 0

    def fail(self) -> None:
        """Note that a try failed."""
        self._next_at = anyio.current_time() + min(FIRST_RETRY_SECONDS * 2**self._failures, LONGEST_RETRY_SECONDS)
        self._failures = min(self._failures + 1, 16)
