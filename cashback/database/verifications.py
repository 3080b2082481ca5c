"""The last verification of the whole ledger, whoever made it: the command line, the dashboard or the daily one.

Only what a running bot was asked for is an entry of the audit log: `cashback verify` adds nothing to what it checks.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from cashback.database.audit_log import add_entry
from cashback.database.dialect import insert_or_replace
from cashback.database.tables import last_verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A verification: its moment, its actor, and the number of breaches it found."""

    at: datetime
    actor: str
    breaches: int


def note(connection: Connection, *, breaches: int, actor: str, now: datetime) -> None:
    """Record a verification in place of the one before."""
    row = insert_or_replace(connection, last_verification, id=1, verified_at=now, verified_by=actor, breaches=breaches)
    connection.execute(row)


def note_asked(connection: Connection, *, breaches: int, actor: str, now: datetime) -> None:
    """Record a verification that an actor asked a running bot for, in the audit log too."""
    details = {"balanced": not breaches, "breaches": breaches}
    add_entry(connection, at=now, actor=actor, action="verified", details=details)
    note(connection, breaches=breaches, actor=actor, now=now)


def last(connection: Connection) -> Verified | None:
    """Return the last verification; None if there was none."""
    columns = last_verification.c
    row = connection.execute(select(columns.verified_at, columns.verified_by, columns.breaches)).one_or_none()
    return None if row is None else Verified(at=row.verified_at, actor=row.verified_by, breaches=row.breaches)
