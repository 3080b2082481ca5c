"""Sends payouts on for members that wish it, informs them of their withdrawals, erases old destinations."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import anyio

from cashback.background.backoff import Backoff
from cashback.cogs.posts.note_sender import Note, NoteSender
from cashback.cogs.texts import wallet_embeds
from cashback.database import Database
from cashback.database.wallets import withdrawals
from cashback.domain.errors import CashbackError
from cashback.domain.model import DeliveryStatus
from cashback.domain.withdrawals import Withdrawal
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
        self._pauses: dict[int, Backoff] = {}

    async def run(self) -> None:
        """Work until cancelled. Notes that wait for Discord hold up nothing else; a failing ledger is asked again."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._repeat, self._tend)
            tasks.start_soon(self._repeat, self._inform_all)

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except CashbackError as error:
                logger.warning("withdrawals wait for the ledger: %s", error)
            await anyio.sleep(POLL_SECONDS)

    async def _tend(self) -> None:
        """Send payouts on, and erase what is due."""
        await self._service.send_new_payouts()
        await self._service.erase_destinations()

    async def _inform_all(self) -> None:
        """Send a note for each status that a member was not informed of."""
        for each in await self._database.read(withdrawals.untold, limit=AT_ONCE):
            if each.number not in self._pauses or not self._pauses[each.number].is_waiting:
                await self._inform(each)

    async def _inform(self, withdrawal: Withdrawal) -> None:
        """Send the note, then record it. What Discord does not take is sent again, after a longer pause each time."""
        write = partial(wallet_embeds.note, withdrawal)
        cause = f"withdrawal {withdrawal.version} {withdrawal.number} {withdrawal.status}"
        delivery = await self._note_sender.send(Note(user_id=withdrawal.user_id, write=write, cause=cause))
        if delivery.status in {DeliveryStatus.SENT, DeliveryStatus.UNDELIVERABLE}:
            await self._database.write(withdrawals.mark_told, withdrawal.number, withdrawal.status)
            self._pauses.pop(withdrawal.number, None)
        else:
            self._pauses.setdefault(withdrawal.number, Backoff()).fail()
