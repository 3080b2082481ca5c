"""Single lines for the audit channel: what the process does, in a bounded queue until Discord takes it."""

from collections import deque
from typing import Final

from cashback.background.wakeup import WakeUp

LINES_KEPT: Final = 50


class AuditLines:
    """Queues lines; the audit channel posts them."""

    def __init__(self, summaries_changed: WakeUp) -> None:
        self._summaries_changed = summaries_changed
        self.waiting: deque[str] = deque(maxlen=LINES_KEPT)

    async def post_line(self, text: str) -> None:
        """Queue a line and return at once."""
        self.waiting.append(text)
        self._summaries_changed.set()
