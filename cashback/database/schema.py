"""Brings a file to this program's schema: creates a new one, adopts an Apex Core bot's, upgrades ours."""

import threading
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from cashback.database.dialect import Location
from cashback.domain.errors import DatabaseUnavailableError

NEWEST: Final = "0001"
"""The revision that this program works with; a test holds it to the newest migration."""

_ALEMBIC: Final = threading.Lock()
"""Alembic keeps what it works on in module globals, one for all threads: upgrades of several files take turns."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def revision_of(connection: Connection) -> str | None:
    """Return the revision that the file stands at; None where this program has never used it."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalars(text("SELECT version_num FROM alembic_version")).one_or_none()


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
    """Count the file's tables, whosever they are."""
    return len(inspect(connection).get_table_names())


def upgrade(connection: Connection, name: str, now: datetime) -> bool:
    """Bring the database to the newest revision inside the caller's transaction; False where it was there already.

    Raises DatabaseUnavailableError for a file that a newer version of this program has written.
    """
    current = revision_of(connection)
    if current == NEWEST:
        return False
    if current is not None and not list(MIGRATIONS.glob(f"versions/{current}_*.py")):
        message = (
            f"Database {name} has the schema {current} of a newer version; update this program (it knows {NEWEST})."
        )
        raise DatabaseUnavailableError(message)
    # Imported here: who opens a file that is up to date does not wait for Alembic.
    from alembic import command  # noqa: PLC0415 -- see above
    from alembic.config import Config  # noqa: PLC0415 -- see above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["now"] = now
    with _ALEMBIC:
        command.upgrade(config, NEWEST)
    return True
