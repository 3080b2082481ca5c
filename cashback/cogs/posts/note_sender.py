"""Notes to members about other things than payouts: a code, a referral, a blacklisting. No command waits for them."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import discord

from cashback.background.rate_limiter import RateLimiter
from cashback.background.wakeup import WakeUp
from cashback.cogs.posts.messenger import DmSender, nonce_of
from cashback.database import Database
from cashback.database.payouts import outbox
from cashback.database.referral_program import preferences
from cashback.domain.errors import CashbackError
from cashback.domain.languages import speaking
from cashback.domain.model import Delivery, DeliveryStatus

NOTES_KEPT: Final = 100
"""At most so many notes wait. If there are more, the oldest is dropped: a note is a courtesy."""

BACK_OFF_SECONDS: Final = 600
IDLE_SECONDS: Final = 3600

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note that waits to be sent. Two notes with the same `cause` within minutes are shown once."""

    user_id: int
    write: Callable[[], discord.Embed]
    cause: str


def _written(write: Callable[[], discord.Embed], language: str) -> discord.Embed:
    with speaking(language):
        return write()


class NoteSender:
    """Sends notes one at a time. They share one rate limit with the payouts' messages."""

    def __init__(self, database: Database, messenger: DmSender, rate_limiter: RateLimiter) -> None:
        self._database = database
        self._messenger = messenger
        self._rate_limiter = rate_limiter
        self._enqueued = WakeUp()
        self._notes: deque[Note] = deque(maxlen=NOTES_KEPT)

    def enqueue(self, user_id: int, write: Callable[[], discord.Embed], *, cause: object) -> None:
        """Queue a note and return at once. `write` returns it, in the language of the member that gets it."""
        self._notes.append(Note(user_id=user_id, write=write, cause=str(cause)))
        self._enqueued.set()

    async def run(self) -> None:
        """Send notes until cancelled. If a note cannot be delivered, it is logged and dropped."""
        while True:
            while self._notes:
                note = self._notes.popleft()
                try:
                    await self.send(note)
                except CashbackError as error:
                    logger.info("a note to %d was not sent: %s", note.user_id, error)
            await self._enqueued.wait(IDLE_SECONDS)

    async def send(self, note: Note) -> Delivery:
        """Send a note when its turn comes; return the outcome. Raises CashbackError if the ledger is unavailable."""
        await self._rate_limiter.acquire()
        language = await self._database.read(preferences.language_of, note.user_id)
        delivery = await self._messenger.deliver(
            note.user_id,
            partial(_written, note.write, language),
            nonce=nonce_of(note.user_id, note.cause, "note"),
            dm_channel_id=await self._database.read(outbox.channel_of, note.user_id),
        )
        if delivery.status is DeliveryStatus.BACK_OFF:
            self._rate_limiter.pause(BACK_OFF_SECONDS)
        if delivery.status is not DeliveryStatus.SENT:
            logger.info("a note to %d was not delivered: %s", note.user_id, delivery.reason)
        return delivery
