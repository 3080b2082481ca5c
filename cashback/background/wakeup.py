"""A wake-up event: any task may set it, one task waits for it."""

import anyio


class WakeUp:
    """Wake-up event. Repeated sets coalesce into one."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the waiting task, or let its next wait return at once."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait for the next set, at most so many seconds."""
        with anyio.move_on_after(seconds):
            await self._event.wait()
        self._event = anyio.Event()
