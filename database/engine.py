"""The one door to the database: one writer at a time, readers beside it, all of it in worker threads.

SQLite in WAL mode: readers see the last commit and never wait for the writer. Writers of other processes wait for each
other in `BEGIN IMMEDIATE`, up to the busy timeout.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from database.errors import DRIVER_ERRORS, translated
from pipeline.errors import DatabaseUnavailableError

READERS: Final = 4
FOR_ALL: Final = ("synchronous=FULL", "foreign_keys=ON")
FOR_THE_WRITER: Final = ("cache_size=-16384", "temp_store=MEMORY")
FOR_READERS: Final = ("cache_size=-2048", "temp_store=FILE")
"""Pragmas. A reader keeps little, and what a large question sorts or joins goes into a temporary file."""

BUSY_TIMEOUT_SECONDS: Final = 30
WAL_RETRY_SECONDS: Final = 0.01

P = ParamSpec("P")
T = TypeVar("T")
Failpoint = Callable[[str], None]
"""Called in the door with "before commit" and "after commit"; tests end the process or raise there."""


def no_failpoint(_moment: str) -> None:
    """Do nothing."""


class Door:
    """Runs functions of a connection: `write` inside one immediate transaction, `read` inside one snapshot."""

    def __init__(self, path: Path, *, inline: bool = False, failpoint: Failpoint = no_failpoint) -> None:
        """Take the file. `inline` runs SQL in the caller's thread, for tests on a virtual clock."""
        self.path = path
        self.failpoint = failpoint
        self._inline = inline
        self._identity: tuple[int, int] | None = None
        self._writing = anyio.Lock()
        self._write_limiter = anyio.CapacityLimiter(1)
        self._read_limiter = anyio.CapacityLimiter(READERS)
        self._writer = _engine(path, begin="BEGIN IMMEDIATE", connections=1, pragmas=FOR_THE_WRITER)
        self._reader = _engine(path, begin="BEGIN", connections=READERS, pragmas=FOR_READERS)

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` in a transaction: commits when it returns, rolls back when it raises."""

        def work() -> T:
            with self._writer.connect() as connection, connection.begin() as transaction:
                self._require_same_file()
                result = function(connection, *args, **kwargs)
                self.failpoint("before commit")
                self._require_same_file()
                transaction.commit()
                self.failpoint("after commit")
                return result

        async with self._writing:
            return await self._run(work, self._write_limiter)

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` on one consistent snapshot, beside the writer."""

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
            raise translated(error, self.path) from error

    def _require_same_file(self) -> None:
        """Raise where the path names another file than at the first use, or none.

        SQLite goes on writing into a file that was removed: what is paid there is lost when the program ends.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            found = None
        identity = (found.st_dev, found.st_ino) if found else None
        if self._identity is None:
            self._identity = identity
        if identity is None or identity != self._identity:
            message = (
                f"Database {self.path} is no longer the file that was opened: it was moved, removed or replaced;"
                " put it back or restart the program."
            )
            raise DatabaseUnavailableError(message)

    def close(self) -> None:
        """Close every connection. The next use opens the file anew, whichever file that is then."""
        self._writer.dispose()
        self._reader.dispose()
        self._identity = None


def _engine(path: Path, *, begin: str, connections: int, pragmas: Sequence[str]) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions on its own: this module says how each begins.
        connection.isolation_level = None
        cursor = connection.cursor()
        _use_wal(cursor)
        for pragma in (*FOR_ALL, *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _use_wal(cursor: DBAPICursor) -> None:
    """Put a file into WAL mode; it stays so. While others do the same SQLite says "locked" at once: we try again."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(WAL_RETRY_SECONDS)
        else:
            return
