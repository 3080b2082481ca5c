"""The ledger at a glance, read in the background: nobody who opens a page waits for sums over all that is pending."""

import logging
from typing import Final

import anyio

from cashback.dashboard.ttl_cache import TtlCache
from cashback.database import Database
from cashback.database.queries.overview import Overview, overview
from cashback.domain.errors import CashbackError

YOUNG_SECONDS: Final = 3
USABLE_SECONDS: Final = 120
"""A glance that is older is read anew before it is shown; a younger one is shown as it is, and renewed behind it."""

logger = logging.getLogger(__name__)


class Snapshot:
    """Keeps the newest glance while somebody looks."""

    def __init__(self, database: Database, *, min_payout_cents: int) -> None:
        """Take the ledger, and the smallest payout that counts as pending."""
        self._database = database
        self._min_payout_cents = min_payout_cents
        self._glances = TtlCache(self._read, seconds=USABLE_SECONDS)
        self._asked = anyio.Event()

    async def _read(self, _key: str) -> Overview:
        return await self._database.read(overview, now=self._database.now(), min_payout_cents=self._min_payout_cents)

    async def get(self) -> Overview:
        """Return the newest glance, and have it renewed where it is not young."""
        if self._glances.peek("ledger", within_seconds=YOUNG_SECONDS) is None:
            self._asked.set()
        return await self._glances.get("ledger")

    async def keep(self) -> None:
        """Renew the glance when somebody has asked, for ever."""
        while True:
            await self._asked.wait()
            self._asked = anyio.Event()
            try:
                await self._glances.renew("ledger")
            except CashbackError as error:
                logger.warning("the dashboard shows old sums: %s", error)
            await anyio.sleep(YOUNG_SECONDS)
