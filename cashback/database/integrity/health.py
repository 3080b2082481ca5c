"""Health checks of the ledger: a sound file, this program's schema, and whether anything was ever paid."""

from typing import Final

from sqlalchemy import Connection, select

from cashback.database import closed_ledger, dialect, schema
from cashback.database.tables import payout_batches
from cashback.domain.errors import DatabaseUnavailableError
from cashback.domain.model import BatchStatus

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


def file(connection: Connection) -> tuple[bool, str]:
    """Return whether the file is sound and of this program's schema, and a line with the remedy if not."""
    found = damages(connection)
    if found:
        return False, f"the file is damaged ({found[0]}); stop the bot and restore the last backup"
    moved = closed_ledger.moved_text(connection)
    if moved is not None:
        return False, f"{moved}; this one can only be read"
    revision = schema.revision_of(connection)
    if revision != schema.NEWEST:
        return False, f"the schema is {revision}; run `cashback migrate`"
    return True, f"the file is sound, schema {revision}"


def has_paid(connection: Connection) -> bool:
    """Return whether anything was ever paid."""
    finished = [BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES]
    query = select(payout_batches.c.number).where(payout_batches.c.status.in_(finished)).limit(1)
    return connection.execute(query).first() is not None
