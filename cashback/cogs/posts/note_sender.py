"""Notes to members that are no payouts: a code, a referral, a blacklisting. They never hold up what they tell of."""

import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import discord

from cashback.background.wakeup import WakeUp
from cashback.cogs.posts.messenger import DmSender, nonce_of
from cashback.database import Database
from cashback.database.payouts import outbox
from cashback.domain.errors import CashbackError
from cashback.domain.model import DeliveryStatus

NOTES_KEPT: Final = 100
"""Notes that wait at most; the oldest gives way, as a note is a courtesy."""

BACK_OFF_SECONDS: Final = 600
IDLE_SECONDS: Final = 3600

logger = logging.getLogger(__name__)


class RateLimiter(Protocol):
    """Gives turns to send, and none while there is a pause."""

    async def wait(self) -> None:
        """Wait for a turn."""
        ...

    def pause(self, seconds: float) -> None:
        """Give no turn for so long."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One note that waits to be sent. `cause` is what it is about: the same cause is shown once within minutes."""

    user_id: int
    embed: discord.Embed
    cause: str


class NoteSender:
    """Sends notes one at a time, at the turns of the payouts' messages: both together keep one pace."""

    def __init__(self, database: Database, messenger: DmSender, turns: RateLimiter, bell: WakeUp) -> None:
        """Take the ledger, who delivers, the turns that are shared, and the bell that this one listens to."""
        self._database = database
        self._messenger = messenger
        self._turns = turns
        self._bell = bell
        self._notes: deque[Note] = deque(maxlen=NOTES_KEPT)

    def tell(self, user_id: int, embed: discord.Embed, *, cause: object) -> None:
        """Have a note sent; nobody waits for it."""
        self._notes.append(Note(user_id=user_id, embed=embed, cause=str(cause)))
        self._bell.set()

    async def run(self) -> None:
        """Send notes for ever. One that cannot be delivered is dropped, and the log says why."""
        while True:
            while self._notes:
                note = self._notes.popleft()
                await self._turns.wait()
                try:
                    await self._send(note)
                except CashbackError as error:
                    logger.info("a note to %d was not sent: %s", note.user_id, error)
            await self._bell.wait(IDLE_SECONDS)

    async def _send(self, note: Note) -> None:
        delivery = await self._messenger.deliver(
            note.user_id,
            partial(discord.Embed.copy, note.embed),
            nonce=nonce_of(note.user_id, note.cause, "note"),
            dm_channel_id=await self._database.read(outbox.channel_of, note.user_id),
        )
        if delivery.status is DeliveryStatus.BACK_OFF:
            self._turns.pause(BACK_OFF_SECONDS)
        if delivery.status is not DeliveryStatus.SENT:
            logger.info("a note to %d was not delivered: %s", note.user_id, delivery.reason)
