"""Notification: wakes the outbox dispatcher when a chunk has queued direct messages.

The stage passes each message on at once, so that crediting never waits for a direct message. The dispatcher
outlives the run: it works through the outbox, whichever process filled it.
"""

from cashback.background.wakeup import Bell
from cashback.domain.model import ChunkCredited
from pipeline.actor import Emit


class Notification:
    """The stage: rings the bell for each chunk that credited anyone and at the end, and passes the messages on."""

    def __init__(self, bell: Bell) -> None:
        """Take the bell that the postman listens to."""
        self._bell = bell

    async def handle(self, message: ChunkCredited, emit: Emit[ChunkCredited]) -> None:
        """Wake the postman and pass the message on."""
        if message.credited:
            self._bell.ring()
        await emit(message)

    async def finish(self, emit: Emit[ChunkCredited]) -> None:
        """Wake the postman also for what other processes have credited of this batch: of that no message came by."""
        self._bell.ring()
