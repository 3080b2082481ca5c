"""The machine's clock, compared with Discord's: it is doubted before it is obeyed."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cashback.domain.ports import Clock, utc_now
from cashback.domain.snowflakes import DISCORD_EPOCH

TOLERANCE: Final = timedelta(minutes=1)
"""Clocks that are at most so far apart agree; `Date` headers have whole seconds."""

STALE_SECONDS: Final = 3600
"""What Discord last showed counts for so long."""

SHOWN_IN_HOURS: Final = 7200
"""From so many seconds on, a difference is shown in hours and days."""

logger = logging.getLogger(__name__)


class ClockCheck:
    """Whether the machine's clock can be believed: as Discord last showed the time, and by the time since then.

    Between two answers of Discord a timer counts, which nobody sets, so that a jump is noticed at once.
    """

    def __init__(
        self, clock: Clock = utc_now, *, timer: Callable[[], float] = time.monotonic, waits_for_discord: bool = False
    ) -> None:
        """`timer` counts seconds and is never set. With `waits_for_discord`, only Discord confirms the time."""
        self._timer = timer
        self._clock = clock
        self._waits_for_discord = waits_for_discord
        self._shown: datetime | None = None
        self._shown_at = 0.0
        self._was_wrong = False

    def compare(self, shown: datetime, *, asked_at: datetime) -> None:
        """Note a moment that Discord showed in an answer to a request of `asked_at`, by the machine's clock."""
        now = self._clock()
        # The answer was written at some moment in between; a slow one says nothing against the clock.
        is_right = asked_at - TOLERANCE <= shown <= now + TOLERANCE
        self._shown = now if is_right else shown
        self._shown_at = self._timer()
        self._log_change()

    @property
    def seconds(self) -> float:
        """The timer's seconds, for what is to be dated once the time is known."""
        return self._timer()

    @property
    def difference(self) -> timedelta:
        """How far the machine's clock is ahead of Discord's; nothing if the two agree or Discord never answered."""
        if self._shown is None:
            return timedelta(0)
        expected = self._shown + timedelta(seconds=self._timer() - self._shown_at)
        difference = self._clock() - expected
        return difference if abs(difference) > TOLERANCE else timedelta(0)

    @property
    def is_doubted(self) -> bool:
        """Whether the clock is wrong; as long as it is, nothing is missed, expired, lapsed or postponed by it."""
        return bool(self.difference) or self._clock() < DISCORD_EPOCH

    @property
    def is_confirmed(self) -> bool:
        """Whether the time is known well enough to correct what an earlier clock decided."""
        return not self._waits_for_discord or not self.is_stale

    @property
    def is_stale(self) -> bool:
        """Whether Discord showed the time too long ago, or never."""
        return self._shown is None or self._timer() - self._shown_at > STALE_SECONDS

    def _log_change(self) -> None:
        difference = self.difference
        if bool(difference) == self._was_wrong:
            return
        self._was_wrong = bool(difference)
        if difference:
            logger.warning(
                "this machine's clock is %s Discord's; set it, with NTP for instance. Until then no slot is missed,"
                " no proposal expires and no approval lapses",
                apart(difference),
            )
        else:
            logger.warning("this machine's clock and Discord's agree again")


def apart(difference: timedelta) -> str:
    """Write how far two clocks are apart: "2 d 3 h ahead of", "90 s behind"."""
    seconds = round(abs(difference.total_seconds()))
    amount = f"{seconds} s" if seconds < SHOWN_IN_HOURS else f"{seconds // 86_400} d {seconds // 3600 % 24} h"
    return f"{amount} {'ahead of' if difference > timedelta(0) else 'behind'}"
