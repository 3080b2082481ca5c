"""Refunds that came before their purchase: kept, and applied when the purchase comes."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, func, select, update

from cashback.database.bulk import among, is_among
from cashback.database.dialect import insert_unless_there
from cashback.database.referral_program.refund_facts import settle_new
from cashback.database.referral_program.refunds import Refund, find_order, record_refund
from cashback.database.tables import is_kept, kept_refunds
from cashback.domain.earning import Origin, order_key
from cashback.domain.errors import RefundRefusedError


class Kind(StrEnum):
    """What is kept: a refund with an id, the sum of all refunds so far, or a dispute that was won."""

    REFUND = "refund"
    IN_ALL = "in_all"
    GIVEN_BACK = "given_back"


def keep(
    connection: Connection, refund: Refund, kind: Kind, *, refund_id: str, actor: str, now: datetime, origin: Origin
) -> None:
    """Keep a refund. The same id is kept once."""
    values = {
        "source": origin.source,
        "order_id": order_key(refund.order_id),
        "refund_id": refund_id,
        "kind": kind,
        "amount_cents": refund.amount_cents,
        "reason": refund.reason,
        "kept_by": actor,
        "kept_at": now,
        "intake_number": origin.intake_number,
    }
    connection.execute(insert_unless_there(connection, kept_refunds).values(**values))


def count_of(connection: Connection, intake_number: int) -> int:
    """Count the refunds that an import or delivery brought and that were not kept before."""
    query = select(func.count()).select_from(kept_refunds).where(kept_refunds.c.intake_number == intake_number)
    return int(connection.scalars(query).one())


def has_kept_win(connection: Connection, source: str, refund_id: str) -> bool:
    """Return whether a dispute was won before its loss was known."""
    found = exists().where(
        kept_refunds.c.source == source, kept_refunds.c.refund_id == refund_id, kept_refunds.c.kind == Kind.GIVEN_BACK
    )
    return bool(connection.scalar(select(found)))


def in_all_id(order_id: str, amount_cents: int | None) -> str:
    """Name the sum of all refunds of an order so far."""
    return f"{order_key(order_id)}/in-all-{'whole' if amount_cents is None else amount_cents}"


_ANY_KEPT: Final = select(exists().where(is_kept, kept_refunds.c.source == bindparam("source")))


def apply_kept(connection: Connection, order_ids: Sequence[str], now: datetime, source: str) -> None:
    """Apply what was kept for orders that have just been recorded."""
    settle_new(connection, order_ids, now=now, source=source)
    if not connection.scalar(_ANY_KEPT, {"source": source}):
        return
    query = select(kept_refunds).where(is_kept, kept_refunds.c.source == source, is_among(kept_refunds.c.order_id))
    rows = connection.execute(query.order_by(kept_refunds.c.number), among(map(order_key, order_ids))).all()
    for row in rows:
        if row.kind != Kind.GIVEN_BACK and not has_kept_win(connection, source, row.refund_id):
            _apply(connection, row, now)
        connection.execute(update(kept_refunds).where(kept_refunds.c.number == row.number).values(applied_at=now))


def _apply(connection: Connection, row: Any, now: datetime) -> None:  # noqa: ANN401 -- a row of the table
    refund = Refund(order_id=row.order_id, amount_cents=row.amount_cents, refund_id=row.refund_id, reason=row.reason)
    wanted = refund if row.kind == Kind.REFUND else rest_of_sum(connection, refund, row.source)
    if wanted is None:
        return
    origin = Origin(source=row.source, intake_number=row.intake_number)
    try:
        record_refund(connection, wanted, actor=row.kept_by, now=now, origin=origin, takes_what_is_left=True)
    except RefundRefusedError:
        # Nothing is left: other refunds took all of it.
        return


def rest_of_sum(connection: Connection, refund: Refund, source: str) -> Refund | None:
    """Return what of the sum of all refunds is not recorded yet; None if nothing, or if nothing is left."""
    order = find_order(connection, source, refund.order_id)
    if order is None:
        return None
    in_all = order.amount_cents if refund.amount_cents is None else refund.amount_cents
    missing = min(in_all - order.refunded_cents, order.left_cents)
    if missing <= 0:
        return None
    refund_id = f"{order.order_id}/in-all-{order.asked_back_cents + missing}"
    return Refund(order_id=refund.order_id, amount_cents=missing, refund_id=refund_id, reason=refund.reason)
