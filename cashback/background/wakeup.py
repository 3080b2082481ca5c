"""A wake-up event that several tasks may set and one task waits for."""

import anyio


class Bell:
    """Rings when the outbox has something new, or a message is done. Ringing twice is ringing once."""

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
