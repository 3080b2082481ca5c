"""Notification: wakes the postman when a chunk has queued direct messages; the postman delivers at Discord's pace.

The stage passes on at once, so that crediting never waits for a direct message. The postman outlives the run: it works
through the outbox, whoever filled it and whenever.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from cashback.background.rate_limiter import RateLimiter
from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import absences, outbox
from cashback.domain.errors import CashbackError
from cashback.domain.model import Delivery, DeliveryStatus, NotificationStatus, PayoutNotice
from cashback.domain.ports import Messenger

NOTICES_READ: Final = 50
"""Notices read from the outbox at a time."""

MAX_IN_FLIGHT: Final = 4
"""Messages under way at once: a slow one holds up no other, and an end leaves no more than these in doubt."""

RETRY_SECONDS: Final = 30
"""The pause before the second attempt; each further one waits twice as long."""

BACK_OFF_SECONDS: Final = 600
"""The pause of all delivery when Discord says that direct messages are sent too fast."""

POLL_SECONDS: Final = 60
"""How often the outbox is looked at when nobody wakes the postman: another process may have filled it."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class OutboxDispatcher:
    """Delivers the outbox, a few messages at a time. At least once: docs/explanation/architecture.md has the window."""

    def __init__(
        self, database: Database, messenger: Messenger, bell: WakeUp, *, per_second: float, retry_attempts: int
    ) -> None:
        """Take the ledger, who delivers, and the pace: messages a second, and retries after a first failure."""
        self._database = database
        self._messenger = messenger
        self._bell = bell
        self.turns = RateLimiter(per_second=per_second)
        self._retry_attempts = retry_attempts
        self._taking = anyio.Lock()
        self._attempts = 0

    async def run(self) -> None:
        """Deliver for ever. A ledger that cannot be used for a while is tried again; it ends nothing."""
        while True:
            await self.deliver_due()
            await self._bell.wait(await self._seconds_to_next())

    async def deliver_due(self) -> int:
        """Deliver all that is due now; return how many attempts that took."""
        before = self._attempts
        while await self._deliver_round():
            pass
        return self._attempts - before

    async def _deliver_round(self) -> bool:
        """Hand out what is due to those who carry, until all of that is done; False where nothing was due.

        What comes due while one message takes its time is handed out to the others.
        """
        under_way: set[int] = set()
        notices = await self._free_notices(under_way)
        if not notices:
            return False
        sender, receiver = anyio.create_memory_object_stream[PayoutNotice](0)
        async with anyio.create_task_group() as carriers:
            async with receiver:
                for number in range(MAX_IN_FLIGHT):
                    carriers.start_soon(self._carry, receiver.clone(), under_way, name=f"carrier {number}")
            async with sender:
                while notices or under_way:
                    for notice in notices:
                        under_way.add(notice.notification_id)
                        await sender.send(notice)
                    if not notices:
                        await self._bell.wait(POLL_SECONDS)
                    notices = await self._free_notices(under_way)
        return True

    async def _free_notices(self, under_way: set[int]) -> list[PayoutNotice]:
        """Read what is due and not under way. What was under way as the reading began may be read as it was then."""
        taken = frozenset(under_way)
        read = partial(self._database.read, outbox.due, now=self._database.now(), limit=NOTICES_READ)
        return [notice for notice in await self._ask(read) if notice.notification_id not in taken]

    async def _carry(self, notices: MemoryObjectReceiveStream[PayoutNotice], under_way: set[int]) -> None:
        """Deliver one message after the other, each at its turn."""
        async with notices:
            while (notice := await self._take(notices)) is not None:
                self._attempts += 1
                delivery = await self._messenger.send(notice)
                self._pause_where_asked(delivery)
                await self._record(notice, delivery)
                under_way.discard(notice.notification_id)
                self._bell.set()

    async def _take(self, notices: MemoryObjectReceiveStream[PayoutNotice]) -> PayoutNotice | None:
        """Take the next message and its turn, one carrier at a time, so that the order is kept; None at last."""
        async with self._taking:
            try:
                notice = await notices.receive()
            except anyio.EndOfStream:
                return None
            await self.turns.wait()
            return notice

    def _pause_where_asked(self, delivery: Delivery) -> None:
        """Stop all of it for a while where the service says so, or would soon."""
        if delivery.status is DeliveryStatus.BACK_OFF:
            logger.warning("all direct messages pause for %d s: %s", BACK_OFF_SECONDS, delivery.reason)
            self.turns.pause(BACK_OFF_SECONDS)
        elif delivery.status is DeliveryStatus.UNDELIVERABLE and self.turns.note_refusal():
            logger.warning("direct messages pause: so many were refused of late that Discord might block the bot")

    async def _record(self, notice: PayoutNotice, delivery: Delivery) -> None:
        """Note how an attempt ended."""
        now = self._database.now()
        if delivery.dm_channel_id is not None and delivery.dm_channel_id != notice.dm_channel_id:
            await self._write(
                partial(self._database.write, outbox.remember_channel, notice.user_id, delivery.dm_channel_id)
            )
        if delivery.status is DeliveryStatus.BACK_OFF:
            return
        if delivery.status is DeliveryStatus.RETRY and notice.attempts < self._retry_attempts:
            until = now + timedelta(seconds=RETRY_SECONDS * 2**notice.attempts)
            await self._write(
                partial(
                    self._database.write, outbox.postpone, notice.notification_id, error=delivery.reason, until=until
                )
            )
            return
        status = {
            DeliveryStatus.SENT: NotificationStatus.SENT,
            DeliveryStatus.UNDELIVERABLE: NotificationStatus.UNDELIVERABLE,
            DeliveryStatus.RETRY: NotificationStatus.FAILED,
        }[delivery.status]
        if status is not NotificationStatus.SENT:
            logger.info(
                "direct message to %d: %s: %s",
                notice.user_id,
                status,
                delivery.reason,
                extra={"batch_id": notice.batch_id},
            )
        await self._note_presence(notice, delivery)
        await self._write(
            partial(self._database.write, outbox.settle, notice.notification_id, status, error=delivery.reason, now=now)
        )

    async def _note_presence(self, notice: PayoutNotice, delivery: Delivery) -> None:
        """Note what an answer says about whether the member is still there."""
        if delivery.absence is not None:
            now = self._database.now()
            await self._write(partial(self._database.write, absences.note, notice.user_id, delivery.absence, now))
        elif delivery.status is DeliveryStatus.SENT and notice.was_absent:
            await self._write(partial(self._database.write, absences.note_return, notice.user_id))

    async def _write(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write also where the end is called for meanwhile: what is not noted is sent again."""

        async def shielded() -> None:
            with anyio.CancelScope(shield=True):
                await write()

        await self._ask(shielded)

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the ledger until it answers."""
        while True:
            try:
                return await ask()
            except CashbackError as error:
                logger.warning("direct messages wait: %s", error)
                await anyio.sleep(RETRY_SECONDS)

    async def _seconds_to_next(self) -> float:
        due_at = await self._ask(partial(self._database.read, outbox.next_due_at))
        if due_at is None:
            return POLL_SECONDS
        return min(max((due_at - self._database.now()).total_seconds(), 0.0), POLL_SECONDS)
