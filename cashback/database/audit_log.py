"""The audit log: append-only, each entry with a digest over itself and the one before."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from cashback.database.dialect import next_in_line
from cashback.database.tables import audit_log, is_upkeep

FIRST_DIGEST: Final = "0" * 64
BATCH_APPROVED: Final = "batch_approved"
BATCH_FINISHED: Final = "batch_finished"
BACKUP_MADE: Final = "backup_made"
HEAD_POSTED: Final = "head_posted"

_ADD: Final = insert(audit_log)
_HEAD: Final = select(audit_log.c.digest).order_by(audit_log.c.id.desc()).limit(1)


def add_entry(
    connection: Connection,
    *,
    at: datetime,
    actor: str,
    action: str,
    batch_number: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> str:
    """Append one entry and return its digest, the new head of the chain."""
    head = chain_head(connection)
    text = json.dumps(details or {}, sort_keys=True, ensure_ascii=False)
    digest = _digest(head, (at.astimezone(UTC).isoformat(), actor, action, batch_number, text))
    entry = {
        "at": at,
        "actor": actor,
        "action": action,
        "batch_number": batch_number,
        "details": text,
        "digest": digest,
    }
    connection.execute(_ADD, next_in_line(connection, audit_log.c.id) | entry)
    return digest


def chain_head(connection: Connection) -> str:
    """Return the newest entry's digest."""
    return connection.scalars(_HEAD).one_or_none() or FIRST_DIGEST


def head_at_end_of(connection: Connection, batch_number: int) -> str | None:
    """Return the digest of the last entry about a batch's end; None if the batch is not finished."""
    query = select(audit_log.c.digest).filter_by(batch_number=batch_number, action=BATCH_FINISHED)
    return connection.scalars(query.order_by(audit_log.c.id.desc()).limit(1)).one_or_none()


def find_head(connection: Connection, digest: str) -> int | None:
    """Return the number of the entry with this digest; None if there is none: then it is another chain.

    A digest that was written down elsewhere proves every entry up to its own.
    """
    return connection.scalars(select(audit_log.c.id).where(audit_log.c.digest == digest)).first()


def newest(connection: Connection, action: str) -> dict[str, Any] | None:
    """Return the newest entry of an action of upkeep, its details as text; None if there is none."""
    query = select(audit_log).where(is_upkeep, audit_log.c.action == action).order_by(audit_log.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row else None


def broken_entries(connection: Connection) -> Iterator[str]:
    """Describe each entry whose digest does not follow from itself and the one before, or whose number leaves a gap."""
    before, expected_id = FIRST_DIGEST, 1
    for row in connection.execute(select(audit_log).order_by(audit_log.c.id)).yield_per(1000):
        if row.id != expected_id:
            yield f"audit entry {expected_id} is missing"
        if row.digest != _digest(before, (row.at.isoformat(), row.actor, row.action, row.batch_number, row.details)):
            yield f"audit entry {row.id} ({row.action} by {row.actor}) was changed, or one before it removed"
        before, expected_id = row.digest, row.id + 1


def entries(
    connection: Connection, *, limit: int, batch_number: int | None = None, before_id: int | None = None
) -> list[dict[str, Any]]:
    """List the entries, newest first, optionally of one batch, and optionally only those before a given one."""
    query = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(audit_log.c.id < before_id)
    if batch_number is not None:
        query = query.where(audit_log.c.batch_number == batch_number)
    return [{**row, "details": json.loads(row["details"])} for row in connection.execute(query).mappings()]


def _digest(before: str, entry: tuple[str, str, str, int | None, str]) -> str:
    """Hash an entry (its moment in ISO, actor, action, batch and details) together with the digest before it."""
    return hashlib.sha256(json.dumps((before, *entry)).encode()).hexdigest()
