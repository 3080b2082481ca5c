"""What the driver says, in words for people. Nothing above this package sees a driver's error."""

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import exc

from pipeline.errors import CashbackError, DatabaseUnavailableError

DRIVER_ERRORS: Final = (exc.DBAPIError, sqlite3.Error)


class RowRefusedError(CashbackError):
    """A constraint of the ledger refused a row; the transaction was rolled back."""


_ADVICE: Final = (
    ("not a database", "is not an SQLite database; name another file"),
    ("malformed", "is damaged; restore the last backup"),
    ("readonly", "cannot be written; give this user the right to write it and its folder"),
    ("disk is full", "cannot grow, the disk is full; free some space, then resume"),
    ("unable to open", "cannot be opened; check that its folder exists and may be written"),
    ("locked", "is in use by another program; try again in a moment"),
    ("disk I/O error", "cannot be read or written (disk I/O error); check the disk, then resume"),
)


def translated(error: Exception, path: Path) -> CashbackError:
    """Put a driver's error into one line: what is wrong with which file, and what to do."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    if isinstance(error, (exc.IntegrityError, exc.DataError)):
        return RowRefusedError(f"The ledger refused a row: {text}.")
    for sign, advice in _ADVICE:
        if sign in text:
            return DatabaseUnavailableError(f"Database {path} {advice}.")
    return DatabaseUnavailableError(f"Database {path}: {text}.")
