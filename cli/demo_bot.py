"""The demo's bot and its time: the machine's, until the demo moves on to the next Friday."""

from datetime import datetime, timedelta
from typing import Final

import anyio

import bot
from cashback.database import Database
from cashback.domain.calendar import Rule
from cashback.domain.ports import utc_now
from cashback.settings import Settings

AFTER_THE_SLOT: Final = timedelta(seconds=5)


class DemoClock:
    """The time of the ledger and of the shop."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        """Return the moment."""
        return utc_now() + self._ahead

    def move_to(self, moment: datetime) -> None:
        """Let it be that moment."""
        self._ahead = moment - utc_now()


class DemoBot:
    """The real bot, which can be restarted at another time."""

    def __init__(self, settings: Settings, database: Database, clock: DemoClock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._stop = anyio.Event()
        self._restart_at: datetime | None = None
        self._is_ended = False

    async def run(self) -> None:
        """Serve until the end."""
        while not self._is_ended:
            await bot.serve(self._settings, self._database, self._stop)
            if self._restart_at is None:
                return
            self._clock.move_to(self._restart_at)
            self._stop, self._restart_at = anyio.Event(), None

    def stop(self) -> None:
        """End, also in the middle of a restart."""
        self._is_ended = True
        self._stop.set()

    def go_to_friday(self) -> datetime:
        """Let it be just after the next slot of the weekly batch; return the slot.

        The bot is restarted, because a running one waits for its slot by the machine's clock.
        """
        terms = self._settings.referral_settings
        rule = Rule(weekday=terms.batch_day, hour=terms.batch_hour_utc, minute=terms.batch_minute_utc)
        slot_at = rule.next_slot(self._clock())
        self._restart_at = slot_at + AFTER_THE_SLOT
        self._stop.set()
        return slot_at
