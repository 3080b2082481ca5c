"""Retries failed payouts at the pace and as often as the settings allow; the ledger knows which are due."""

import logging
from typing import Final

import anyio

from cashback.domain.errors import CashbackError
from cashback.services import AdminService

POLL_SECONDS: Final = 60

logger = logging.getLogger(__name__)


async def keep_retrying(service: AdminService, *, poll_seconds: float = POLL_SECONDS) -> None:
    """Retry what is due, until cancelled. If the ledger is unavailable for a while, it is read again later."""
    while True:
        try:
            for number in await service.retry_due():
                logger.info("batch number %d: retrying its failed payouts", number)
        except CashbackError as error:
            logger.warning("retries wait: %s", error)
        await anyio.sleep(poll_seconds)
