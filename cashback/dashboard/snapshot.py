"""Sums over the ledger, read in the background so that pages do not wait for them."""

import logging
from typing import Final

import anyio

from cashback.dashboard.ttl_cache import TtlCache
from cashback.database import Database
from cashback.database.queries.overview import Overview, Stamp, overview, stamp
from cashback.domain.errors import CashbackError

YOUNG_SECONDS: Final = 3
USABLE_SECONDS: Final = 120
"""Older sums are read again before they are shown; younger sums are shown, and renewed in the background."""

QUICK_SECONDS: Final = 0.25
"""If the last read took at most this long, a page waits for sums that have the newest payouts."""

logger = logging.getLogger(__name__)


class Snapshot:
    """Keeps the newest sums while pages are open."""

    def __init__(self, database: Database, *, min_payout_cents: int) -> None:
        self._database = database
        self._min_payout_cents = min_payout_cents
        self._overviews = TtlCache(self._read, seconds=USABLE_SECONDS)
        self._asked = anyio.Event()
        self._read_seconds = 0.0
        self._stamp: Stamp | None = None

    async def _read(self, _key: str) -> Overview:
        began = anyio.current_time()
        now = self._database.now()
        # In this order: what is written between the two makes the stamp older than the sums, never younger.
        read_stamp = await self._database.read(stamp)
        found = await self._database.read(overview, now=now, min_payout_cents=self._min_payout_cents)
        self._stamp, self._read_seconds = read_stamp, anyio.current_time() - began
        return found

    async def get_new(self) -> Overview:
        """Return the newest sums. If something was decided or paid since they were read, read them again first.

        On a ledger that takes long to read it returns those of `get`.
        """
        found = await self.get()
        if self._read_seconds > QUICK_SECONDS or await self._database.read(stamp) == self._stamp:
            return found
        return await self._overviews.renew("ledger")

    async def get(self) -> Overview:
        """Return the newest sums; if they are not young, have them renewed."""
        if self._overviews.peek("ledger", within_seconds=YOUNG_SECONDS) is None:
            self._asked.set()
        return await self._overviews.get("ledger")

    async def keep(self) -> None:
        """Renew the sums when a page has asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked = anyio.Event()
            try:
                await self._overviews.renew("ledger")
            except CashbackError as error:
                logger.warning("the dashboard shows old sums: %s", error)
            await anyio.sleep(YOUNG_SECONDS)
