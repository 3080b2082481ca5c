"""Tries failed payouts again by itself, at the pace and as often as the settings say; the ledger knows what is due."""

import logging
from typing import Final

import anyio

from cashback.domain.errors import CashbackError
from cashback.services import AdminService

POLL_SECONDS: Final = 60

logger = logging.getLogger(__name__)


async def keep_retrying(service: AdminService, *, poll_seconds: float = POLL_SECONDS) -> None:
    """Look for what is due, for ever. A ledger that cannot be used for a while is looked at again."""
    while True:
        try:
            for number in await service.retry_due():
                logger.info("batch number %d: its failed payouts are tried again", number)
        except CashbackError as error:
            logger.warning("retries wait: %s", error)
        await anyio.sleep(poll_seconds)
