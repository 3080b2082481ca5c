"""The outbox dispatcher delivers queued direct messages at Discord's pace.

It is independent of the runs: it works through the outbox, whichever process filled it and whenever.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from cashback.background.backoff import pause_after
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
"""Messages sent concurrently: a slow one does not block the others, and a stop leaves at most these in doubt."""

RETRY_SECONDS: Final = 30
"""The pause before the second attempt; it doubles for each further one."""

LONGEST_OUTAGE_RETRY_SECONDS: Final = 900
"""The longest pause of a message that the service could not take. An outage never ends the retries."""

RETRIED_AT_ONCE: Final = 10
"""How many postponed messages are handed out before untried ones are looked for again: those go first."""

BACK_OFF_SECONDS: Final = 600
"""How long all delivery pauses when Discord reports that direct messages are sent too fast."""

POLL_SECONDS: Final = 60
"""How often the outbox is read without a wake-up: another process may have filled it."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class OutboxDispatcher:
    """Delivers the outbox, a few messages at a time, each at least once: docs/explanation/architecture.md."""

    def __init__(
        self,
        database: Database,
        messenger: Messenger,
        outbox_changed: WakeUp,
        *,
        per_second: float,
        retry_attempts: int,
    ) -> None:
        """`per_second` is the pace; `retry_attempts` is how many attempts follow a failed first one."""
        self._database = database
        self._messenger = messenger
        self._outbox_changed = outbox_changed
        self.rate_limiter = RateLimiter(per_second=per_second)
        self._retry_attempts = retry_attempts
        self._taking = anyio.Lock()
        self._recording = anyio.Lock()
        self._unrecorded: list[outbox.Settled] = []
        self._attempts = 0
        self._outages: dict[int, int] = {}

    async def run(self) -> None:
        """Deliver until cancelled. If the ledger is unavailable for a while, delivery is retried."""
        while True:
            await self.deliver_due()
            await self._outbox_changed.wait(await self._seconds_to_next())

    async def deliver_due(self) -> int:
        """Deliver all messages that are due now; return the number of attempts."""
        before = self._attempts
        while await self._deliver_round():
            pass
        return self._attempts - before

    async def _deliver_round(self) -> bool:
        """Distribute the messages that are due to the senders until all are done; return False if none were due.

        Messages that become due while another is being sent go to the free senders.
        """
        under_way: set[int] = set()
        notices = await self._free_notices(under_way)
        if not notices:
            return False
        sender, receiver = anyio.create_memory_object_stream[PayoutNotice](0)
        async with anyio.create_task_group() as senders:
            async with receiver:
                for number in range(MAX_IN_FLIGHT):
                    senders.start_soon(self._send_all, receiver.clone(), under_way, name=f"sender {number}")
            async with sender:
                while notices or under_way:
                    for notice in notices:
                        under_way.add(notice.notification_id)
                        await sender.send(notice)
                    if not notices:
                        await self._outbox_changed.wait(POLL_SECONDS)
                    notices = await self._free_notices(under_way)
        return True

    async def _free_notices(self, under_way: set[int]) -> list[PayoutNotice]:
        """Read the notices that are due and not being sent: the untried, or if there are none, a few postponed ones.

        Those in flight when the query began may be read in their old state.
        """
        taken = frozenset(under_way)
        now = self._database.now()
        longest = timedelta(seconds=max(RETRY_SECONDS * 2**self._retry_attempts, LONGEST_OUTAGE_RETRY_SECONDS))
        read = partial(self._database.read, outbox.due, now=now, limit=NOTICES_READ, longest=longest)
        free = [notice for notice in await self._ask(read) if notice.notification_id not in taken]
        return [notice for notice in free if not notice.is_retry] or free[:RETRIED_AT_ONCE]

    async def _send_all(self, notices: MemoryObjectReceiveStream[PayoutNotice], under_way: set[int]) -> None:
        """Send one message after the other, each at its turn."""
        async with notices:
            while (notice := await self._take(notices)) is not None:
                self._attempts += 1
                delivery = await self._messenger.send(notice)
                self._pause_where_asked(delivery)
                await self._record(notice, delivery)
                under_way.discard(notice.notification_id)
                self._outbox_changed.set()

    async def _take(self, notices: MemoryObjectReceiveStream[PayoutNotice]) -> PayoutNotice | None:
        """Take the next message and its turn, one sender at a time to keep the order; None when all are taken."""
        async with self._taking:
            try:
                notice = await notices.receive()
            except anyio.EndOfStream:
                return None
            await self.rate_limiter.acquire()
            return notice

    def _pause_where_asked(self, delivery: Delivery) -> None:
        """Pause all delivery if the service asks for it, or would soon."""
        if delivery.status is DeliveryStatus.BACK_OFF:
            logger.warning("all direct messages pause for %d s: %s", BACK_OFF_SECONDS, delivery.reason)
            self.rate_limiter.pause(BACK_OFF_SECONDS)
        elif delivery.status is DeliveryStatus.UNDELIVERABLE and self.rate_limiter.note_refusal():
            logger.warning("direct messages pause: so many were refused recently that Discord might block the bot")

    async def _record(self, notice: PayoutNotice, delivery: Delivery) -> None:
        """Record the result of an attempt."""
        now = self._database.now()
        if delivery.dm_channel_id is not None and delivery.dm_channel_id != notice.dm_channel_id:
            await self._write(
                partial(self._database.write, outbox.remember_channel, notice.user_id, delivery.dm_channel_id)
            )
        if delivery.status is DeliveryStatus.BACK_OFF:
            return
        if delivery.status is DeliveryStatus.RETRY and (delivery.is_outage or notice.attempts < self._retry_attempts):
            await self._postpone(notice, delivery)
            return
        self._outages.pop(notice.notification_id, None)
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
        self._unrecorded.append(
            outbox.Settled(notification_id=notice.notification_id, status=status, error=delivery.reason, at=now)
        )
        await self._write(self._settle_all)

    async def _settle_all(self) -> None:
        """Record all results that are there in one transaction: one sender also records what others have received.

        Each sender waits for its own, so that a crash never leaves more than `MAX_IN_FLIGHT` messages in doubt.
        """
        async with self._recording:
            if settled := tuple(self._unrecorded):
                await self._database.write(outbox.settle, settled)
                del self._unrecorded[: len(settled)]

    async def _postpone(self, notice: PayoutNotice, delivery: Delivery) -> None:
        """Leave a message for another attempt. A failure of the service itself uses up none of its attempts."""
        seconds = pause_after(notice.attempts, first_seconds=RETRY_SECONDS)
        if delivery.is_outage:
            failures = self._outages.get(notice.notification_id, 0)
            self._outages[notice.notification_id] = failures + 1
            seconds = pause_after(failures, first_seconds=RETRY_SECONDS, longest_seconds=LONGEST_OUTAGE_RETRY_SECONDS)
        await self._write(
            partial(
                self._database.write,
                outbox.postpone,
                notice.notification_id,
                error=delivery.reason,
                until=self._database.now() + timedelta(seconds=seconds),
                is_attempt=not delivery.is_outage,
            )
        )

    async def _note_presence(self, notice: PayoutNotice, delivery: Delivery) -> None:
        """Record what the result shows about whether the member is still in the server."""
        if delivery.absence is not None:
            now = self._database.now()
            await self._write(partial(self._database.write, absences.note, notice.user_id, delivery.absence, now))
        elif delivery.status is DeliveryStatus.SENT and notice.was_absent:
            await self._write(partial(self._database.write, absences.note_return, notice.user_id))

    async def _write(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write the result even if a stop is requested: a message without a recorded result is sent again."""

        async def shielded() -> None:
            with anyio.CancelScope(shield=True):
                await write()

        await self._ask(shielded)

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Query the ledger until it answers."""
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
