"""Intakes: an import, delivery or command that brought purchases, refunds or referrals; one audit entry for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from cashback.database.audit_log import add_entry
from cashback.database.bulk import among, is_among
from cashback.database.tables import intakes, referral_purchases
from cashback.domain.earning import MAIN

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


def is_new_shop(connection: Connection, source: str) -> bool:
    """Return whether a source is another than `main`, and has no purchases yet."""
    return source != MAIN and not connection.scalar(select(exists().where(referral_purchases.c.source == source)))


def twins_in_main(connection: Connection, orders: list[tuple[str, int, int]]) -> list[str]:
    """Return the orders that `main` has with the same buyer and amount; `orders` are (order id, buyer, cents)."""
    columns = (referral_purchases.c.order_id, referral_purchases.c.buyer_id, referral_purchases.c.amount_cents)
    query = select(*columns).where(referral_purchases.c.source == MAIN, is_among(referral_purchases.c.order_id))
    in_main = {tuple(row) for row in connection.execute(query, among(order_id for order_id, _, _ in orders))}
    return [order[0] for order in orders if order in in_main]
