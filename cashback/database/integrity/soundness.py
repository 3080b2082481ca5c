"""Checks whether the file is sound: SQLite reads every page and every index."""

from typing import Final

from sqlalchemy import Connection

from cashback.database import dialect
from cashback.domain.errors import DatabaseUnavailableError

SHOWN: Final = 10
"""Damages listed; one is enough to need a backup."""


def damages(connection: Connection) -> list[str]:
    """List the file's damages, each in a line, at most ten; empty if it is sound. Reads the whole file.

    An index that lacks a row counts: a constraint enforced by it would let a second payout pass.
    """
    return [*dialect.damages(connection, shown=SHOWN)]


def require_sound(connection: Connection, name: object) -> None:
    """Raise DatabaseUnavailableError with the remedy if the file is damaged."""
    found = damages(connection)
    if found:
        message = f"Database {name} is damaged ({found[0]}); stop the bot and restore the last backup."
        raise DatabaseUnavailableError(message)
