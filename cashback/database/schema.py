"""Upgrades a file to this program's schema: creates a new one, adopts an Apex Core bot's, upgrades ours."""

import ast
import threading
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from cashback.database import closed_ledger
from cashback.database.adoption import create_or_adopt
from cashback.database.dialect import Location
from cashback.database.guards import create_guards
from cashback.domain.errors import DatabaseUnavailableError

NEWEST: Final = "0018"
"""The revision that this program works with; a test holds it to the newest migration."""

VERSION_TABLE: Final = "cashback_alembic_version"
OLD_VERSION_TABLE: Final = "alembic_version"
"""Programs up to schema 0001 look here. A ledger of ours keeps it, with a revision that those do not know."""

MARK: Final = "0002"

_ALEMBIC: Final = threading.Lock()
"""Alembic keeps its state in module globals, shared by all threads: upgrades of several files take turns."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def revision_of(connection: Connection) -> str | None:
    """Return the ledger's revision; None if this program has never used the database."""
    inspector = inspect(connection)
    if inspector.has_table(VERSION_TABLE):
        return _revision_in(connection, VERSION_TABLE)
    # Another bot may use Alembic too: only together with our table is the version table ours.
    if inspector.has_table(OLD_VERSION_TABLE) and inspector.has_table("cashback_origin"):
        return _revision_in(connection, OLD_VERSION_TABLE)
    return None


def _revision_in(connection: Connection, table: str) -> str | None:
    return connection.scalars(text(f"SELECT version_num FROM {table}")).one_or_none()  # noqa: S608 -- our own names


def is_older(revision: str | None) -> bool:
    """Return whether a ledger of ours has the schema of an older version of this program."""
    return revision is not None and revision != NEWEST and revision in dict(_migrations())


def _migrations() -> list[tuple[str, Path]]:
    """List the migrations' files by their revisions, in order."""
    return [(path.name.partition("_")[0], path) for path in sorted(MIGRATIONS.glob("versions/[0-9]*.py"))]


def changes_since(revision: str) -> list[str]:
    """Return what the migrations after a revision change, a line for each."""
    lines = []
    for number, path in _migrations():
        if number > revision:
            opening = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
            lines.append(f"{number}: {opening}")
    return lines


def may_hold_tables(location: Location) -> bool:
    """Return whether opening it is worth a try: opening a file that is not there, or is empty, would write it."""
    if not isinstance(location, Path):
        return True
    try:
        return location.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError:
        # Opening it fails with a message that is about the file.
        return True


def count_tables(connection: Connection) -> int:
    """Count all tables of the file."""
    return len(inspect(connection).get_table_names())


def upgrade(connection: Connection, name: str, now: datetime) -> bool:
    """Upgrade to the newest revision inside the caller's transaction; return False if it is already there.

    Raises DatabaseUnavailableError for a file that a newer version of this program has written.
    """
    current = revision_of(connection)
    if current == NEWEST:
        return False
    if current is None:
        _begin(connection, now)
        return True
    if not is_older(current):
        message = (
            f"Database {name} has the schema {current} of a newer version; update this program (it knows {NEWEST})."
        )
        raise DatabaseUnavailableError(message)
    if not inspect(connection).has_table(VERSION_TABLE):
        _stamp(connection, VERSION_TABLE, current)
    migrate(connection, NEWEST, now)
    return True


def _begin(connection: Connection, now: datetime) -> None:
    """Create or adopt a ledger. Only a database of ours is marked for older programs; another bot's is not."""
    is_empty = not count_tables(connection)
    create_or_adopt(connection, now)
    _stamp(connection, VERSION_TABLE, NEWEST)
    if is_empty:
        _stamp(connection, OLD_VERSION_TABLE, MARK)


def _stamp(connection: Connection, table: str, revision: str) -> None:
    """Create Alembic's version table with a revision."""
    connection.exec_driver_sql(
        f"CREATE TABLE {table} (version_num VARCHAR(32) NOT NULL, CONSTRAINT {table}_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(text(f"INSERT INTO {table} VALUES (:revision)"), {"revision": revision})  # noqa: S608 -- as above


def migrate(connection: Connection, revision: str, now: datetime) -> None:
    """Run the migrations up to a revision inside the caller's transaction."""
    # Imported here: opening an up-to-date file does not need Alembic.
    from alembic import command  # noqa: PLC0415 -- see above
    from alembic.config import Config  # noqa: PLC0415 -- see above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    config.attributes["now"] = now
    with _ALEMBIC:
        command.upgrade(config, revision)
    if revision == NEWEST:
        create_guards(connection)
        closed_ledger.close_new_tables(connection)
