"""Corrections of orders: entries that continue an order. The row of a purchase is never changed.

A correction takes off what is left of an order, as a refund does, and records what is right as a further purchase of
the same day and rate.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from cashback.database.audit_log import add_entry
from cashback.database.referral_program.people import check_id
from cashback.database.referral_program.purchases import Purchase, check_amount, record_purchases
from cashback.database.referral_program.refunds import GIVEN_BACK, Order, Refund, find_order, record_refund
from cashback.database.tables import order_corrections, referral_refunds
from cashback.domain.earning import ANY_TIME, EarningDates, Origin
from cashback.domain.errors import OrderRefusedError
from cashback.domain.money import dollars

CORRECTED: Final = "order_corrected"
REASSIGNED: Final = "reassigned"
AMOUNT: Final = "amount"


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
    number = _add_correction(
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
    _record_further(
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


def reassign(
    connection: Connection,
    order_id: str,
    member_id: int,
    *,
    source: str,
    reason: str,
    actor: str,
    now: datetime,
    rate_ppm: int,
    dates: EarningDates = ANY_TIME,
) -> int:
    """Make an order another member's, with what is left of it; return the correction's number.

    It keeps its own rate; `rate_ppm` is for one that earned at none. Raises OrderRefusedError; then nothing is changed.
    """
    check_id(member_id, "Member")
    order = _require_order(connection, order_id, source)
    if order.buyer_id == member_id:
        message = f"Order {order_id} is the purchase of member {member_id} already; nothing was changed."
        raise OrderRefusedError(message)
    left_cents = order.left_cents
    if not left_cents:
        message = f"Nothing is left of order {order_id}: all of it was refunded; nothing was changed."
        raise OrderRefusedError(message)
    number = _add_correction(
        connection,
        order,
        source=source,
        kind=REASSIGNED,
        buyer_id=member_id,
        amount_cents=order.amount_cents,
        reason=reason,
        actor=actor,
        now=now,
    )
    before = next(row for row, _ in order.parts(left_cents))
    _take_off(connection, order, number, left_cents, source=source, reason=reason, actor=actor, now=now)
    _record_further(
        connection,
        order,
        before,
        number,
        buyer_id=member_id,
        amount_cents=left_cents,
        rate_ppm=before.rate_ppm or rate_ppm,
        now=now,
        origin=Origin(source=source),
        dates=dates,
    )
    return number


def correct_amount(
    connection: Connection,
    order_id: str,
    amount_cents: int,
    *,
    source: str,
    reason: str,
    actor: str,
    now: datetime,
    dates: EarningDates = ANY_TIME,
) -> int:
    """Correct the amount of an order, before its refunds; return the correction's number.

    Raises OrderRefusedError, also for less than the shop has refunded; then nothing is changed.
    """
    check_amount(amount_cents)
    order = _require_order(connection, order_id, source)
    more_cents = amount_cents - order.amount_cents
    if not more_cents:
        message = f"Order {order_id} is of {dollars(amount_cents)} already; nothing was changed."
        raise OrderRefusedError(message)
    if amount_cents < order.refunded_cents:
        message = (
            f"{dollars(order.refunded_cents)} of order {order_id} were refunded, so it cannot be of"
            f" {dollars(amount_cents)}; nothing was changed."
        )
        raise OrderRefusedError(message)
    number = _add_correction(
        connection,
        order,
        source=source,
        kind=AMOUNT,
        buyer_id=order.buyer_id,
        amount_cents=amount_cents,
        reason=reason,
        actor=actor,
        now=now,
    )
    if more_cents < 0:
        _take_off(connection, order, number, -more_cents, source=source, reason=reason, actor=actor, now=now)
        return number
    before = order.rows[-1]
    _record_further(
        connection,
        order,
        before,
        number,
        buyer_id=order.buyer_id,
        amount_cents=more_cents,
        rate_ppm=before.rate_ppm,
        now=now,
        origin=Origin(source=source),
        dates=dates,
    )
    return number


def _require_order(connection: Connection, order_id: str, source: str) -> Order:
    order = find_order(connection, source, order_id)
    if order is None:
        message = (
            f"Order {order_id} of shop {source} is not the purchase of a member, so it cannot be corrected; check the"
            " id, or assign the order to its member first."
        )
        raise OrderRefusedError(message)
    return order


def _take_off(
    connection: Connection,
    order: Order,
    number: int,
    cents: int,
    *,
    source: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Take an amount off an order, as a refund of no shop."""
    refund = Refund(
        order_id=order.order_id,
        amount_cents=cents,
        refund_id=f"{order.order_id}/corrected-{number}",
        reason=reason,
    )
    origin = Origin(source=source, correction_number=number)
    record_refund(connection, refund, actor=actor, now=now, origin=origin)


def _add_correction(
    connection: Connection,
    order: Order,
    *,
    source: str,
    kind: str,
    buyer_id: int,
    amount_cents: int,
    reason: str | None,
    actor: str,
    now: datetime,
    refund_id: str | None = None,
    is_noted: bool = True,
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


def _record_further(
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
