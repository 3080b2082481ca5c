"""Intakes: an import, delivery or command that brought purchases, refunds or referrals; one audit entry for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, update

from cashback.database.audit_log import add_entry
from cashback.database.tables import intakes

RECORDED: Final = "intake_recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeTotals:
    """What an intake brought: its digest (SHA-256), the rows that it took, and their cents."""

    digest: str | None
    rows: int
    cents: int


_BEGIN: Final = insert(intakes).returning(intakes.c.number)
_FINISH: Final = (
    update(intakes).where(intakes.c.number == bindparam("which")).returning(intakes.c.source, intakes.c.kind)
)


def begin(connection: Connection, *, source: str, kind: str, actor: str, now: datetime) -> int:
    """Begin an import, delivery or command, and return its number."""
    row = {"source": source, "kind": kind, "actor": actor, "at": now}
    return int(connection.scalars(_BEGIN, row).one())


def finish(
    connection: Connection,
    number: int,
    totals: IntakeTotals,
    *,
    actor: str,
    now: datetime,
    action: str = RECORDED,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Store what an intake brought, with its entry in the audit log; of one that brought nothing, nothing stays."""
    if not totals.rows:
        forget(connection, number)
        return
    values: dict[str, Any] = {"digest": totals.digest, "rows": totals.rows, "cents": totals.cents}
    source, kind = connection.execute(_FINISH, {**values, "which": number}).one()
    details = {"intake": number, "source": source, "kind": kind, **values, **(facts or {})}
    add_entry(connection, at=now, actor=actor, action=action, details=details)


def forget(connection: Connection, number: int) -> None:
    """Delete an intake that brought nothing."""
    connection.execute(delete(intakes).where(intakes.c.number == number))
