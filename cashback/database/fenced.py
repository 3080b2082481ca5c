"""The ledger as a stage sees it, and that of a process that pays under a lease: each write asks for the fence first."""

from collections.abc import Callable
from datetime import datetime
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from cashback.database.database import Database

P = ParamSpec("P")
T = TypeVar("T")


class LedgerPort(Protocol):
    """What stages ask of the ledger."""

    def now(self) -> datetime:
        """Tell the present moment by this ledger's clock."""
        ...

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in one transaction; it commits when the function returns."""
        ...

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on one snapshot."""
        ...


class FencedDatabase:
    """A ledger that writes only while `require` does not raise, asked in the very transaction that writes."""

    def __init__(self, database: Database, require: Callable[[Connection], None]) -> None:
        """Take the ledger, and what raises LeaseLostError where another process has taken over."""
        self._database = database
        self._require = require

    def now(self) -> datetime:
        """Tell the present moment by this ledger's clock."""
        return self._database.now()

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in one transaction, unless the lease is lost."""

        def guarded(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            # The function goes first: it may have to say how the transaction begins.
            result = function(connection, *args, **kwargs)
            self._require(connection)
            return result

        return await self._database.write(guarded, *args, **kwargs)

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on one snapshot."""
        return await self._database.read(function, *args, **kwargs)
