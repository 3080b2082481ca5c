"""Rate limits: a bucket of attempts for each address, refilled steadily."""

from collections import OrderedDict
from typing import Final

import anyio

ADDRESSES: Final = 10_000
"""Addresses that are remembered; the address that was quiet longest is forgotten first."""


class RateLimit:
    """Admits `per_minute` attempts at once, and as many again in each minute."""

    def __init__(self, *, per_minute: int) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def has_left(self, address: str) -> bool:
        """Return whether an address has an attempt left, without taking it."""
        return self._left_of(address, anyio.current_time()) >= 1

    def _left_of(self, address: str, now: float) -> float:
        left, at = self._left.get(address, (self._capacity, now))
        return min(self._capacity, left + (now - at) * self._per_second)

    def admits(self, address: str) -> bool:
        """Take one attempt of an address; return False if it has none left."""
        now = anyio.current_time()
        left = self._left_of(address, now)
        self._left.pop(address, None)
        admitted = left >= 1
        self._left[address] = (left - 1 if admitted else left, now)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        return admitted
