"""The audit log's head of each day, which the audit channel keeps: it proves every entry up to its own."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from cashback.database.audit_log import HEAD_POSTED, add_entry, newest
from cashback.database.tables import audit_log


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest entry of the audit log: its number and its digest."""

    entry: int
    digest: str


def due(connection: Connection, *, now: datetime) -> Head | None:
    """Return the head if it is to be posted: once a day, in UTC, if there are entries since the last post.

    A ledger without a posted head gets its first on the day after its first entry.
    """
    columns = (audit_log.c.id, audit_log.c.digest, audit_log.c.at)
    last = connection.execute(select(*columns).order_by(audit_log.c.id.desc()).limit(1)).one_or_none()
    posted = newest(connection, HEAD_POSTED)
    if last is None or (posted is not None and posted["id"] == last.id):
        return None
    begun = posted["at"] if posted else connection.execute(select(*columns).order_by(audit_log.c.id).limit(1)).one().at
    return None if begun.date() == now.date() else Head(entry=last.id, digest=last.digest)


def note_posted(connection: Connection, head: Head, *, now: datetime) -> None:
    """Record that a head was posted."""
    details = {"entry": head.entry, "head": head.digest}
    add_entry(connection, at=now, actor="system", action=HEAD_POSTED, details=details)
