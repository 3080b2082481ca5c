"""A cache of values that may be a little old."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import anyio

KEPT: Final = 200
"""Values that are kept; the oldest is forgotten first."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TtlCache(Generic[K, V]):
    """Reads a value at most once in `seconds`; concurrent callers share one read."""

    def __init__(self, read: Callable[[K], Awaitable[V]], *, seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._reading = anyio.Lock()

    async def get(self, key: K) -> V:
        """Return a value that is young enough. Errors of the read are raised and not kept."""
        found = self.peek(key, within_seconds=self._seconds)
        if found is not None:
            return found
        async with self._reading:
            # Another caller may have read it in the meantime.
            found = self.peek(key, within_seconds=self._seconds)
            return found if found is not None else await self.renew(key)

    async def renew(self, key: K) -> V:
        """Read the value now."""
        value = await self._read(key)
        self._values[key] = (anyio.current_time(), value)
        self._values.move_to_end(key)
        if len(self._values) > KEPT:
            self._values.popitem(last=False)
        return value

    def peek(self, key: K, *, within_seconds: float) -> V | None:
        """Return the last value if it is young enough."""
        read_at, value = self._values.get(key, (0.0, None))
        return value if value is not None and anyio.current_time() - read_at < within_seconds else None
