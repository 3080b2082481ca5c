"""Connections to the database: one writer at a time, parallel readers, all of it in worker threads."""

from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from sqlalchemy import Connection, exc

from cashback.database.dialect import READERS, Location, Patience, make_engine
from cashback.database.errors import DRIVER_ERRORS, translated
from cashback.domain.errors import DatabaseUnavailableError

P = ParamSpec("P")
T = TypeVar("T")
Failpoint = Callable[[str], None]
"""Called with "before commit" and "after commit"; tests end the process or raise there."""


def no_failpoint(_moment: str) -> None:
    """Do nothing."""


class ConnectionOwner:
    """Runs functions of a connection: `write` inside one transaction of its own, `read` inside one snapshot."""

    def __init__(self, location: Location, *, inline: bool = False, failpoint: Failpoint = no_failpoint) -> None:
        """`inline` runs SQL in the caller's thread, for tests on a virtual clock."""
        self.location = location
        self.failpoint = failpoint
        self._inline = inline
        self._identity: tuple[int, int] | None = None
        self._writing = anyio.Lock()
        self._write_limiter = anyio.CapacityLimiter(1)
        self._read_limiter = anyio.CapacityLimiter(READERS)
        self._writer = make_engine(location, writes=True)
        self._reader = make_engine(location, writes=False)

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` in a transaction: it commits on return, and rolls back on an exception.

        If the transaction conflicted with another one, and so did nothing, the function is called again.
        """

        def transact() -> T:
            with self._writer.connect() as connection, connection.begin() as transaction:
                self._require_same_file()
                result = function(connection, *args, **kwargs)
                self.failpoint("before commit")
                self._require_same_file()
                transaction.commit()
                self.failpoint("after commit")
                return result

        def work() -> T:
            patience = Patience()
            while True:
                try:
                    return transact()
                except exc.DBAPIError as error:
                    if not patience.again(error):
                        raise

        async with self._writing:
            return await self._run(work, self._write_limiter)

    @property
    def is_written(self) -> bool:
        """Whether somebody writes, or waits to."""
        return self._writing.locked()

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` on one consistent snapshot, in parallel to the writer."""

        def work() -> T:
            with self._reader.connect() as connection, connection.begin():
                self._require_same_file()
                return function(connection, *args, **kwargs)

        return await self._run(work, self._read_limiter)

    async def _run(self, work: Callable[[], T], limiter: anyio.CapacityLimiter) -> T:
        try:
            if self._inline:
                await anyio.lowlevel.checkpoint()
                return work()
            return await anyio.to_thread.run_sync(work, limiter=limiter)
        except DRIVER_ERRORS as error:
            raise translated(error, self.location) from error

    def _require_same_file(self) -> None:
        """Raise if the path names another file than at the first use, or no file.

        SQLite continues to write into a removed file: payments there would be lost when the program ends.
        """
        if not isinstance(self.location, Path):
            return
        try:
            found = self.location.stat()
        except FileNotFoundError:
            found = None
        identity = (found.st_dev, found.st_ino) if found else None
        if self._identity is None:
            self._identity = identity
        if identity is None or identity != self._identity:
            message = (
                f"Database {self.location} is no longer the file that was opened: it was moved, removed or replaced;"
                " put it back or restart the program."
            )
            raise DatabaseUnavailableError(message)

    def close(self) -> None:
        """Close every connection. The next use opens the path again, whichever file it then names."""
        self._writer.dispose()
        self._reader.dispose()
        self._identity = None
