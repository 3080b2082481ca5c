"""Whether the file itself is sound: what SQLite finds when it reads every page and every index."""

from typing import Final

from sqlalchemy import Connection

from cashback.database import dialect
from cashback.domain.errors import DatabaseUnavailableError

SHOWN: Final = 10
"""Damages listed; one is enough to need a backup."""


def damages(connection: Connection) -> list[str]:
    """List what is damaged in the file, each in a line, at most ten; nothing where it is sound. Reads all of it.

    An index that lacks a row counts: a constraint that is upheld by it would let a second payout pass.
    """
    return [*dialect.damages(connection, shown=SHOWN)]


def require_sound(connection: Connection, name: object) -> None:
    """Raise DatabaseUnavailableError, which says what to do, where the file is damaged."""
    found = damages(connection)
    if found:
        message = f"Database {name} is damaged ({found[0]}); stop the bot and restore the last backup."
        raise DatabaseUnavailableError(message)
