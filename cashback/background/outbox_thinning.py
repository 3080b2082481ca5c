"""Thins the outbox once a day: direct messages of batches that finished long ago become counts."""

import logging
from datetime import timedelta
from typing import Final

import anyio

from cashback.database import Database
from cashback.database.payouts import outbox_thinning
from cashback.domain.errors import CashbackError

KEPT_DAYS: Final = 30
DAY_SECONDS: Final = 86_400

logger = logging.getLogger(__name__)


class OutboxThinning:
    """Run `run` in the process that pays, so that of several bots one thins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Thin at the start and every day, until cancelled. If the ledger is unavailable, the next day does it."""
        while True:
            try:
                count = await thin_outbox(self._database)
                logger.info("the outbox was thinned, messages: %d", count)
            except CashbackError as error:
                logger.warning("the outbox is not thinned: %s", error)
            await anyio.sleep(DAY_SECONDS)


async def thin_outbox(database: Database, *, days: int = KEPT_DAYS) -> int:
    """Replace the done messages of batches that finished at least so many days ago by counts; return how many."""
    before, total = database.now() - timedelta(days=days), 0
    while count := await database.write(outbox_thinning.thin, before=before):
        total += count
    return total
