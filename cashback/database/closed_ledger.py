"""Closing a ledger after its move: every table refuses every change, with the place and the moment of the move.

The refusals are triggers, so they also hold for a program that has the ledger open, an older version of this one, and
another bot.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from cashback.database.dialect import Location, create_refusal, name_of, refusal_of
from cashback.database.errors import MOVED, LedgerMovedError
from cashback.database.tables import OWN, audit_log, metadata

CHANGES: Final = {"closed": "INSERT", "closed_to_update": "UPDATE", "closed_to_delete": "DELETE"}
"""The last part of a trigger's name, and the change that it refuses.

PostgreSQL fires triggers in the order of their names, so these come before `fixed` and `kept`, and theirs is the text.
"""


def close(connection: Connection, target: Location, now: datetime) -> None:
    """Make every table of the ledger refuse every change. A ledger that is closed keeps its text."""
    _close(connection, moved_text(connection) or f"{_moved_to(target)} on {now:%Y-%m-%d at %H:%M} UTC; name that one")


def close_new_tables(connection: Connection) -> None:
    """Close the tables that an upgrade has added, if the ledger was moved before."""
    refusal = moved_text(connection)
    if refusal is not None:
        _close(connection, refusal)


def _close(connection: Connection, refusal: str) -> None:
    for table in metadata.sorted_tables:
        for suffix, change in CHANGES.items():
            name = f"{OWN}{table.name.removeprefix(OWN)}_{suffix}"
            create_refusal(connection, name, f"{change} ON {table.name}", refusal)


def moved_text(connection: Connection) -> str | None:
    """Return where and when the ledger was moved, as a sentence without its end; None if it was not moved."""
    return refusal_of(connection, f"{audit_log.name}_closed")


def require_open(connection: Connection) -> None:
    """Raise LedgerMovedError if the ledger was moved."""
    refusal = moved_text(connection)
    if refusal is not None:
        raise LedgerMovedError(f"{refusal[0].upper()}{refusal[1:]}.")


def is_moved_to(refusal: str, target: Location) -> bool:
    """Return whether a refusal names this target; earlier versions did not write which it was."""
    return refusal.startswith((f"{_moved_to(target)} on ", f"{MOVED}another database;"))


def _moved_to(target: Location) -> str:
    return f"{MOVED}{target.resolve() if isinstance(target, Path) else name_of(target)}"
