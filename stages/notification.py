"""Notification: wakes the outbox dispatcher when a chunk has queued direct messages.

The stage passes each message on at once, so that crediting never waits for a direct message. The dispatcher
outlives the run: it works through the outbox, whichever process filled it.
"""

from cashback.background.wakeup import WakeUp
from cashback.domain.model import ChunkCredited
from pipeline.actor import Emit


class Notification:
    """Wakes the dispatcher for each chunk that credited anyone and at the end, and passes the messages on."""

    def __init__(self, outbox_changed: WakeUp) -> None:
        """Take the event that wakes the outbox dispatcher."""
        self._outbox_changed = outbox_changed

    async def handle(self, message: ChunkCredited, emit: Emit[ChunkCredited]) -> None:
        """Wake the dispatcher and pass the message on."""
        if message.credited:
            self._outbox_changed.set()
        await emit(message)

    async def finish(self, emit: Emit[ChunkCredited]) -> None:
        """Wake the dispatcher also for what other processes have credited of this batch: of that no message came by."""
        self._outbox_changed.set()
