"""Reconciliation of orders: those that waited for a member, refunds that were kept, and corrections."""

from typing import Any, Final

from sqlalchemy import Select, and_, func, or_, select

from cashback.database.integrity.checks import finds
from cashback.database.tables import (
    kept_refunds,
    order_corrections,
    referral_purchases,
    referral_refunds,
    unmatched_purchases,
)

_WAITED, _BOUGHT, _KEPT, _MADE = unmatched_purchases.c, referral_purchases.c, kept_refunds.c, order_corrections.c


@finds("order {order_id} of {source} is settled as of {buyer_id}, but it is not that member's purchase")
def settled_without_purchase() -> Select[Any]:
    """Find orders that are assigned, and have no purchase."""
    same = and_(_BOUGHT.source == _WAITED.source, _BOUGHT.order_id == _WAITED.order_id)
    return (
        select(_WAITED.source, _WAITED.order_id, _WAITED.buyer_id)
        .join_from(unmatched_purchases, referral_purchases, same, isouter=True)
        .where(_WAITED.buyer_id.is_not(None))
        .where(or_(_BOUGHT.buyer_id.is_(None), _BOUGHT.buyer_id != _WAITED.buyer_id))
    )


@finds("order {order_id} of {source} waits for a member, and is the purchase of {buyer_id}")
def waiting_and_counted() -> Select[Any]:
    """Find orders that wait although they are counted: they could be assigned a second time."""
    same = and_(_BOUGHT.source == _WAITED.source, _BOUGHT.order_id == _WAITED.order_id)
    return (
        select(_WAITED.source, _WAITED.order_id, _BOUGHT.buyer_id)
        .join_from(unmatched_purchases, referral_purchases, same)
        .where(_WAITED.buyer_id.is_(None))
    )


@finds("refund {refund_id} of order {order_id} is kept, although its purchase is there")
def kept_and_not_applied() -> Select[Any]:
    """Find refunds that were kept for a purchase which came, and were not applied."""
    same = and_(_BOUGHT.source == _KEPT.source, _BOUGHT.order_id == _KEPT.order_id)
    return (
        select(_KEPT.refund_id, _KEPT.order_id)
        .join_from(kept_refunds, referral_purchases, same)
        .where(_KEPT.applied_at.is_(None), _KEPT.kind != "given_back", _KEPT.kept_at < _BOUGHT.recorded_at)
    )


@finds("correction {number} of order {order_id} gives back {amount_cents} cents, its purchase is {made}")
def wrong_gifts() -> Select[Any]:
    """Find disputes that were won and gave back another amount than their purchase, or than their refund took."""
    made = func.coalesce(_BOUGHT.amount_cents, 0).label("made")
    taken = (
        select(func.coalesce(func.sum(referral_refunds.c.amount_cents), 0))
        .where(
            referral_refunds.c.source == _MADE.source,
            or_(referral_refunds.c.refund_id == _MADE.refund_id, referral_refunds.c.part_of == _MADE.refund_id),
        )
        .correlate(order_corrections)
        .scalar_subquery()
    )
    return (
        select(_MADE.number, _MADE.order_id, _MADE.amount_cents, made)
        .join_from(order_corrections, referral_purchases, _BOUGHT.correction_number == _MADE.number, isouter=True)
        .where(_MADE.kind == "given_back", or_(made != _MADE.amount_cents, taken != _MADE.amount_cents))
    )


@finds("order {order_id} names correction {correction_number}, which is not there")
def without_correction() -> Select[Any]:
    """Find purchases of corrections that nobody made."""
    return (
        select(_BOUGHT.order_id, _BOUGHT.correction_number)
        .join_from(referral_purchases, order_corrections, _MADE.number == _BOUGHT.correction_number, isouter=True)
        .where(_BOUGHT.correction_number.is_not(None), _MADE.number.is_(None))
    )


CHECKS: Final = (settled_without_purchase, waiting_and_counted, kept_and_not_applied, wrong_gifts, without_correction)
"""All checks of orders."""
