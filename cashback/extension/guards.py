"""What was added to the program may fail; the payouts go on without it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio

from cashback.domain.errors import CashbackError
from cashback.domain.model import BatchReport, ChunkCredited, Delivery, DeliveryStatus, PayoutNotice
from cashback.domain.ports import Messenger, Observer

SEND_SECONDS: Final = 60
NOTIFY_SECONDS: Final = 5

logger = logging.getLogger(__name__)


class GuardedMessenger:
    """An added messenger. Whatever fails in it is an outcome: the message is tried again."""

    def __init__(self, messenger: Messenger, assure: Callable[[], Awaitable[object]]) -> None:
        """`assure` is awaited before each message. It raises LeaseLostError if another process sends now."""
        self._messenger = messenger
        self._assure = assure

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Send one payout's message once. Raises LeaseLostError."""
        await self._assure()
        try:
            with anyio.fail_after(SEND_SECONDS):
                delivery = await self._messenger.send(notice)
        except CashbackError:
            raise
        except Exception as error:
            logger.exception("the messenger failed at a message to %d", notice.user_id)
            return Delivery(status=DeliveryStatus.RETRY, reason=f"{type(error).__name__}: {error}")
        if not isinstance(delivery, Delivery):
            logger.error("the messenger returned %r for a message to %d, not a Delivery", delivery, notice.user_id)
            return Delivery(status=DeliveryStatus.RETRY, reason="the messenger did not return a Delivery")
        return delivery


class GuardedObservers:
    """Our own observer, then the added ones. One that raises is logged; one that hangs is not called again."""

    def __init__(self, own: Observer, added: Sequence[Observer]) -> None:
        self._own = own
        self._added = list(added)

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Notify all that another chunk is settled."""
        await self._own.progressed(chunk)
        await self._notify(lambda each: each.progressed(chunk))

    async def finished(self, report: BatchReport) -> None:
        """Notify all that the batch is settled."""
        await self._own.finished(report)
        await self._notify(lambda each: each.finished(report))

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Notify all that a run ended early."""
        await self._own.interrupted(batch_number, reason)
        await self._notify(lambda each: each.interrupted(batch_number, reason))

    async def _notify(self, call: Callable[[Observer], Awaitable[None]]) -> None:
        for observer in tuple(self._added):
            try:
                with anyio.move_on_after(NOTIFY_SECONDS) as limit:
                    await call(observer)
            except Exception:
                logger.exception("the observer %r failed", observer)
            if limit.cancelled_caught:
                logger.error("the observer %r takes longer than %d s and is not called again", observer, NOTIFY_SECONDS)
                self._added.remove(observer)
