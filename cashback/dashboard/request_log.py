"""The log of requests: a limited number of lines a minute, with the number of dropped lines."""

import logging
import time
from typing import Final

LINES_PER_MINUTE: Final = 60


class RequestLog(logging.LoggerAdapter[logging.Logger]):
    """A logger for lines that strangers can cause. Lines beyond the limit are counted instead of written."""

    def __init__(self, *, per_minute: int = LINES_PER_MINUTE) -> None:
        super().__init__(logging.getLogger(__name__), {})
        self._per_minute = per_minute
        self._minute = _minute()
        self._written = 0
        self._unreported = 0
        self.dropped = 0

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 -- the name in logging
        """Return whether a line is written. Every logging method asks this once; a refused line counts as dropped."""
        if not super().isEnabledFor(level):
            return False
        self.report_dropped()
        if self._written < self._per_minute:
            self._written += 1
            return True
        self.dropped += 1
        self._unreported += 1
        return False

    def report_dropped(self) -> None:
        """Begin a new minute if the last one is over, and log how many lines it dropped."""
        minute = _minute()
        if minute == self._minute:
            return
        self._minute, self._written = minute, 0
        if self._unreported:
            self.logger.warning("log lines about requests that were dropped: %d", self._unreported)
            self._unreported = 0


def _minute() -> int:
    return int(time.monotonic() // 60)
