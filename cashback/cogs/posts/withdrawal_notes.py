"""Sends payouts on for members that wish it, informs them of their withdrawals, erases old destinations."""

import logging
from functools import partial
from typing import Final

import anyio

from cashback.cogs.posts.note_sender import NoteSender
from cashback.cogs.texts import wallet_embeds
from cashback.database import Database
from cashback.database.wallets import withdrawals
from cashback.domain.errors import CashbackError
from cashback.services import AdminService

POLL_SECONDS: Final = 1.0
AT_ONCE: Final = 50

logger = logging.getLogger(__name__)


class WithdrawalNotes:
    """Reads from the ledger what was decided on Discord, on the command line, or by a reversal."""

    def __init__(self, database: Database, service: AdminService, note_sender: NoteSender) -> None:
        self._database = database
        self._service = service
        self._note_sender = note_sender

    async def run(self) -> None:
        """Send notes until cancelled. An unavailable ledger is logged and tried again."""
        while True:
            try:
                await self.send_due()
            except CashbackError as error:
                logger.warning("notes about withdrawals wait: %s", error)
            await anyio.sleep(POLL_SECONDS)

    async def send_due(self) -> None:
        """Send payouts on, queue a note for each status that a member was not informed of, and erase what is due."""
        await self._service.send_new_payouts()
        for each in await self._database.read(withdrawals.untold, limit=AT_ONCE):
            await self._database.write(withdrawals.mark_told, each.number, each.status)
            cause = f"withdrawal {each.version} {each.number} {each.status}"
            self._note_sender.enqueue(each.user_id, partial(wallet_embeds.note, each), cause=cause)
        await self._service.erase_destinations()
