"""The ledger's interface for stages, and a ledger that checks the payment lease in each write."""

from collections.abc import Callable
from datetime import datetime
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from cashback.database.database import Database

P = ParamSpec("P")
T = TypeVar("T")


class LedgerPort(Protocol):
    """The ledger's interface for stages."""

    def now(self) -> datetime:
        """Return the present moment by this ledger's clock."""
        ...

    @property
    def is_written(self) -> bool:
        """Whether somebody in this process writes, or waits to."""
        ...

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in one transaction; it commits when the function returns."""
        ...

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on one snapshot."""
        ...


class FencedDatabase:
    """A ledger that writes only if `require` does not raise within the writing transaction."""

    def __init__(self, database: Database, require: Callable[[Connection], None]) -> None:
        """`require` raises LeaseLostError if another process has taken over."""
        self._database = database
        self._require = require

    def now(self) -> datetime:
        """Return the present moment by this ledger's clock."""
        return self._database.now()

    @property
    def is_written(self) -> bool:
        """Whether somebody in this process writes, or waits to."""
        return self._database.is_written

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in one transaction, unless the lease is lost."""

        def guarded(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            # The function goes first: it may have to begin the transaction in a special way.
            result = function(connection, *args, **kwargs)
            self._require(connection)
            return result

        return await self._database.write(guarded, *args, **kwargs)

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on one snapshot."""
        return await self._database.read(function, *args, **kwargs)
