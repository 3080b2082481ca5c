"""Corrections of orders: entries that continue an order. The row of a purchase is never changed.

A correction takes off what is left of an order, as a refund does, and records what is right as a further purchase of
the same day and rate.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from cashback.database.audit_log import add_entry
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.refunds import GIVEN_BACK, Order
from cashback.database.tables import order_corrections, referral_refunds
from cashback.domain.earning import ANY_TIME, EarningDates, Origin

CORRECTED = "order_corrected"


def is_given_back(connection: Connection, source: str, refund_id: str) -> bool:
    """Return whether a refund was given back already."""
    query = select(order_corrections.c.number).where(
        order_corrections.c.source == source, order_corrections.c.refund_id == refund_id
    )
    return connection.scalar(query) is not None


def give_back(
    connection: Connection,
    order: Order,
    refund_id: str,
    *,
    actor: str,
    now: datetime,
    origin: Origin,
    dates: EarningDates = ANY_TIME,
) -> int:
    """Give a refund back, because its dispute was won; return the cents, 0 if it is given back already."""
    if is_given_back(connection, origin.source, refund_id):
        return 0
    taken = select(referral_refunds.c.order_id, referral_refunds.c.amount_cents).where(
        referral_refunds.c.source == origin.source,
        (referral_refunds.c.refund_id == refund_id) | (referral_refunds.c.part_of == refund_id),
        referral_refunds.c.order_id.in_([row.order_id for row in order.rows]),
    )
    cents: dict[str, int] = {row.order_id: row.amount_cents for row in connection.execute(taken)}
    given = sum(cents.values())
    if not given:
        return 0
    number = add_correction(
        connection,
        order,
        source=origin.source,
        kind=GIVEN_BACK,
        buyer_id=order.buyer_id,
        amount_cents=given,
        refund_id=refund_id,
        reason=None,
        actor=actor,
        now=now,
        is_noted=origin.intake_number is None,
    )
    of_refund = next(row for row in order.rows if row.order_id in cents)
    record_further(
        connection,
        order,
        of_refund,
        number,
        buyer_id=order.buyer_id,
        amount_cents=given,
        rate_ppm=of_refund.rate_ppm,
        now=now,
        origin=origin,
        dates=dates,
    )
    return given


def add_correction(
    connection: Connection,
    order: Order,
    *,
    source: str,
    kind: str,
    buyer_id: int,
    amount_cents: int,
    refund_id: str | None,
    reason: str | None,
    actor: str,
    now: datetime,
    is_noted: bool,
) -> int:
    """Write a correction down, with its audit entry unless it is part of a delivery; return its number."""
    facts = {
        "source": source,
        "order_id": order.order_id,
        "kind": kind,
        "buyer_id": buyer_id,
        "amount_cents": amount_cents,
        "refund_id": refund_id,
        "reason": reason,
    }
    row = insert(order_corrections).values(**facts, made_by=actor, made_at=now).returning(order_corrections.c.number)
    number = int(connection.scalars(row).one())
    if is_noted:
        add_entry(connection, at=now, actor=actor, action=CORRECTED, details={"correction": number, **facts})
    return number


def record_further(
    connection: Connection,
    order: Order,
    before: Any,  # noqa: ANN401 -- a row of the order
    number: int,
    *,
    buyer_id: int,
    amount_cents: int,
    rate_ppm: int,
    now: datetime,
    origin: Origin,
    dates: EarningDates,
) -> None:
    """Record the purchase of a correction: as old, and held as long, as the row `before` it."""
    purchase = Purchase(f"{order.order_id}/corrected-{number}", buyer_id, amount_cents, before.purchased_at)
    held = 0 if before.payable_at is None else (before.payable_at - before.purchased_at).days
    record_purchases(
        connection,
        [purchase],
        rate_ppm,
        now,
        holding_days=held,
        dates=dates,
        origin=Origin(source=origin.source, intake_number=origin.intake_number, correction_number=number),
    )
