"""Group commit: calls that wait for the ledger together share one transaction, and each returns after its commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import anyio
from sqlalchemy import Connection

from cashback.database.database import Database
from cashback.domain.errors import DatabaseUnavailableError

T = TypeVar("T")
R = TypeVar("R")

MOST_TOGETHER: Final = 64
"""Calls in one transaction: the ledger is free for others after a tenth of a second."""


@dataclass(slots=True, eq=False)
class _Call(Generic[T, R]):
    """One call; `results` has one entry as soon as it is done."""

    item: T
    results: Sequence[R] = ()
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.results) or self.error is not None


class GroupCommit(Generic[T, R]):
    """Applies items with a function that takes several of them in one transaction.

    If the transaction of several fails, each of them is applied alone, so that one bad item changes nothing of others.
    """

    def __init__(self, database: Database, function: Callable[[Connection, Sequence[T]], Sequence[R]]) -> None:
        """Apply items with `function`, which returns a result for each, in their order."""
        self._database = database
        self._function = function
        self._turn = anyio.Lock()
        self._waiting: dict[_Call[T, R], None] = {}

    async def write(self, item: T) -> R:
        """Apply an item, together with those that wait at the same time; return its result after the commit."""
        call: _Call[T, R] = _Call(item)
        self._waiting[call] = None
        try:
            async with self._turn:
                if not call.is_done:
                    await self._write_waiting()
        finally:
            self._waiting.pop(call, None)
        if call.error is not None:
            raise call.error
        return call.results[0]

    async def _write_waiting(self) -> None:
        taken: list[_Call[T, R]] = []
        try:
            results = await self._database.write(self._apply, taken)
        except Exception as error:  # noqa: BLE001 -- raised to its callers
            if len(taken) > 1 and not isinstance(error, DatabaseUnavailableError):
                await self._write_alone(taken)
            else:
                # A ledger that cannot be used is not asked again for each that waits.
                self._finish(taken if len(taken) == 1 else list(self._waiting), error=error)
        else:
            for call, result in zip(taken, results, strict=True):
                self._finish([call], result)

    def _apply(self, connection: Connection, calls: list[_Call[T, R]]) -> Sequence[R]:
        """Apply these calls; if none is given, those that wait now, and so also what came while the ledger was busy."""
        if not calls:
            calls += list(self._waiting)[:MOST_TOGETHER]
        return self._function(connection, [call.item for call in calls])

    async def _write_alone(self, calls: Sequence[_Call[T, R]]) -> None:
        for call in calls:
            try:
                results = await self._database.write(self._apply, [call])
            except Exception as error:  # noqa: BLE001 -- raised to its caller
                self._finish([call], error=error)
            else:
                self._finish([call], *results)

    def _finish(self, calls: Sequence[_Call[T, R]], *results: R, error: Exception | None = None) -> None:
        for call in calls:
            call.results, call.error = results, error
            self._waiting.pop(call, None)
