"""Notification: wakes the outbox dispatcher when a chunk has queued direct messages.

The stage passes each message on at once, so that crediting never waits for a direct message. The dispatcher
outlives the run: it works through the outbox, whichever process filled it.
"""

from cashback.background.wakeup import WakeUp
from cashback.domain.model import ChunkCredited
from pipeline.actor import Emit


class Notification:
    """Wakes the dispatcher for each chunk that credited a member and at the end, and passes the messages on."""

    def __init__(self, outbox_changed: WakeUp) -> None:
        self._outbox_changed = outbox_changed

    async def handle(self, message: ChunkCredited, emit: Emit[ChunkCredited]) -> None:
        """Wake the dispatcher and pass the message on."""
        if message.credited:
            self._outbox_changed.set()
        await emit(message)

    async def finish(self, emit: Emit[ChunkCredited]) -> None:
        """Wake the dispatcher also for payouts that other processes have credited: these caused no message here."""
        self._outbox_changed.set()
