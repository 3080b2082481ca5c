"""Verifies the ledger every day, in the background, and reports a breach or damage in the audit channel."""

import logging
from datetime import datetime, timedelta
from typing import Final

import anyio

from cashback.database import Database, verifications
from cashback.database.integrity import health
from cashback.domain.errors import CashbackError
from cashback.domain.ports import PostLine
from cashback.services import SCHEDULE, AdminService

POLL_SECONDS: Final = 60
SHOWN_LENGTH: Final = 300
"""The largest part of a breach that a line shows."""

logger = logging.getLogger(__name__)


class DailyVerify:
    """Run `run` in the process that pays, so that of several bots one verifies."""

    def __init__(self, database: Database, service: AdminService, *, hour_utc: int, post_line: PostLine) -> None:
        """Verify once a day, as soon as the hour `hour_utc` has begun; `post_line` reports what is wrong."""
        self._database = database
        self._service = service
        self._hour_utc = hour_utc
        self._post_line = post_line
        self._since = database.now()

    async def run(self) -> None:
        """Verify when it is due, until cancelled. If the ledger is unavailable for a while, it is verified later."""
        while True:
            try:
                if await self.is_due():
                    await self.verify()
            except CashbackError as error:
                logger.warning("the daily verification waits: %s", error)
            await anyio.sleep(POLL_SECONDS)

    async def is_due(self) -> bool:
        """Return whether the hour has begun since the last verification, whoever asked for it.

        A ledger that was never verified, or by a clock that was ahead, counts from this process's start.
        """
        now = self._database.now()
        last = await self._database.read(verifications.last)
        since = self._since if last is None or last.at > now else last.at
        return now >= next_hour(since, self._hour_utc)

    async def verify(self) -> None:
        """Verify the ledger, and report what is wrong. Raises CashbackError if the ledger is unavailable."""
        verdict = await self._service.verify(SCHEDULE)
        damages = await self._database.read(health.damages)
        if not (verdict.breaches or damages):
            logger.info("the daily verification: the books balance, payouts: %d", verdict.payouts_checked)
            return
        found = [*verdict.breaches, *(f"the ledger is damaged: {damage}" for damage in damages)]
        logger.error("the daily verification found: %s", "; ".join(found))
        await self._post_line(
            f"The daily verification found that the books do not balance. Pay nothing, pause the schedule, and run"
            f" `cashback verify`. Findings: {len(found)}, the first: {found[0][:SHOWN_LENGTH]}"
        )


def next_hour(moment: datetime, hour: int) -> datetime:
    """Return when this hour of a day begins next after a moment."""
    begins = moment.replace(hour=hour, minute=0, second=0, microsecond=0)
    return begins if begins > moment else begins + timedelta(days=1)
