"""Notification: wakes the postman when a chunk has queued direct messages; the postman delivers at Discord's pace.

The stage passes on at once, so that crediting never waits for a direct message. The postman outlives the run: it works
through the outbox, whoever filled it and whenever.
"""

import logging
from datetime import timedelta
from typing import Final

import anyio

from database import Database, outbox
from pipeline.actor import Emit
from pipeline.errors import CashbackError
from pipeline.messages import ChunkCredited, Delivery, DeliveryStatus, NotificationStatus, PayoutNotice
from pipeline.ports import Messenger

LETTERS_AT_ONCE: Final = 50
"""Notices read from the outbox at a time."""

RETRY_SECONDS: Final = 30
"""The pause before the second attempt; each further one waits twice as long."""

BACK_OFF_SECONDS: Final = 600
"""The pause of all delivery when Discord says that direct messages are sent too fast."""

LOOK_SECONDS: Final = 60
"""How often the outbox is looked at when nobody wakes the postman: another process may have filled it."""

logger = logging.getLogger(__name__)


class Bell:
    """Rings when the outbox has something new. Ringing twice is ringing once."""

    def __init__(self) -> None:
        """Start silent."""
        self._rung = anyio.Event()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Wait for the next ring, or so long."""
        with anyio.move_on_after(seconds):
            await self._rung.wait()
        self._rung = anyio.Event()


class Notification:
    """The stage: rings the bell for each chunk that credited anyone, and passes the message on."""

    def __init__(self, bell: Bell) -> None:
        """Take the bell that the postman listens to."""
        self._bell = bell

    async def handle(self, message: ChunkCredited, emit: Emit[ChunkCredited]) -> None:
        """Wake the postman and pass the message on."""
        if message.credited:
            self._bell.ring()
        await emit(message)

    async def finish(self, emit: Emit[ChunkCredited]) -> None:
        """Do nothing: the outbox holds what is to be delivered."""


class Postman:
    """Delivers the outbox, one message at a time. At least once: docs/architecture.md has the window."""

    def __init__(
        self, database: Database, messenger: Messenger, bell: Bell, *, per_second: float, retry_attempts: int
    ) -> None:
        """Take the ledger, who delivers, and the pace: messages a second, and retries after a first failure."""
        self._database = database
        self._messenger = messenger
        self._bell = bell
        self._interval = 1 / per_second
        self._retry_attempts = retry_attempts
        self._next_send = 0.0

    async def run(self) -> None:
        """Deliver for ever. A ledger that cannot be used for a while is tried again; it ends nothing."""
        while True:
            try:
                await self.deliver_due()
                pause = await self._seconds_to_next()
            except CashbackError as error:
                logger.warning("direct messages wait: %s", error)
                pause = RETRY_SECONDS
            await self._bell.wait(pause)

    async def deliver_due(self) -> int:
        """Deliver all that is due now; return how many attempts that took."""
        attempts = 0
        while notices := await self._database.read(outbox.due, now=self._database.now(), limit=LETTERS_AT_ONCE):
            for notice in notices:
                await self._pace()
                delivery = await self._messenger.send(notice)
                attempts += 1
                await self._record(notice, delivery)
                if delivery.status is DeliveryStatus.BACK_OFF:
                    logger.warning("all direct messages pause for %d s: %s", BACK_OFF_SECONDS, delivery.reason)
                    await anyio.sleep(BACK_OFF_SECONDS)
        return attempts

    async def _pace(self) -> None:
        """Keep the sends an interval apart; a late one does not push the next ones back."""
        now = anyio.current_time()
        self._next_send = max(self._next_send, now - self._interval)
        if self._next_send > now:
            await anyio.sleep(self._next_send - now)
        self._next_send += self._interval

    async def _record(self, notice: PayoutNotice, delivery: Delivery) -> None:
        now = self._database.now()
        if delivery.dm_channel_id is not None and delivery.dm_channel_id != notice.dm_channel_id:
            await self._database.write(outbox.remember_channel, notice.user_id, delivery.dm_channel_id)
        if delivery.status is DeliveryStatus.BACK_OFF:
            return
        if delivery.status is DeliveryStatus.RETRY and notice.attempts < self._retry_attempts:
            until = now + timedelta(seconds=RETRY_SECONDS * 2**notice.attempts)
            await self._database.write(outbox.postpone, notice.notification_id, error=delivery.reason, until=until)
            return
        status = {
            DeliveryStatus.SENT: NotificationStatus.SENT,
            DeliveryStatus.UNDELIVERABLE: NotificationStatus.UNDELIVERABLE,
            DeliveryStatus.RETRY: NotificationStatus.FAILED,
        }[delivery.status]
        if status is not NotificationStatus.SENT:
            logger.info("direct message to %d: %s: %s", notice.user_id, status, delivery.reason)
        await self._database.write(outbox.settle, notice.notification_id, status, error=delivery.reason, now=now)

    async def _seconds_to_next(self) -> float:
        due_at = await self._database.read(outbox.next_due_at)
        if due_at is None:
            return LOOK_SECONDS
        return min(max((due_at - self._database.now()).total_seconds(), 0.0), LOOK_SECONDS)
