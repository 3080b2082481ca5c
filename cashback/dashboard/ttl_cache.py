"""Answers that may be a little old: read once, and shown to all who ask meanwhile."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import anyio

KEPT: Final = 200
"""Answers that are remembered at a time; the oldest is forgotten first."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TtlCache(Generic[K, V]):
    """Reads an answer at most once in so many seconds, however many ask; who asks meanwhile gets the same one."""

    def __init__(self, read: Callable[[K], Awaitable[V]], *, seconds: float) -> None:
        """Take what reads an answer, and how old one may be."""
        self._read = read
        self._seconds = seconds
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._reading = anyio.Lock()

    async def get(self, key: K) -> V:
        """Return an answer that is young enough. What the reading raises is raised, and not remembered."""
        found = self.peek(key, within_seconds=self._seconds)
        if found is not None:
            return found
        async with self._reading:
            # Another may have read it while this one waited.
            found = self.peek(key, within_seconds=self._seconds)
            return found if found is not None else await self.renew(key)

    async def renew(self, key: K) -> V:
        """Read an answer now."""
        answer = await self._read(key)
        self._answers[key] = (anyio.current_time(), answer)
        self._answers.move_to_end(key)
        if len(self._answers) > KEPT:
            self._answers.popitem(last=False)
        return answer

    def peek(self, key: K, *, within_seconds: float) -> V | None:
        """Return the last answer where it is young enough."""
        read_at, answer = self._answers.get(key, (0.0, None))
        return answer if answer is not None and anyio.current_time() - read_at < within_seconds else None
