"""Opens the ledger of the settings; one of an older version is backed up before it is upgraded."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cashback.background.upgrade_backup import back_up_if_older
from cashback.database import Database
from cashback.settings import Settings

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Database]:
    """Yield the open ledger. Raises CashbackError if it cannot be opened."""
    terms = settings.referral_settings
    ledger = Database(
        settings.database,
        rate_ppm=terms.rate_ppm,
        holding_days=terms.holding_days,
        dates=terms.earning_dates,
        currency=settings.counted_in,
    )
    copy = await back_up_if_older(ledger.location, ledger.now())
    if copy is not None:
        logger.info("the ledger of an older version is upgraded; %s holds it as it was before", copy)
    async with ledger as database:
        yield database
