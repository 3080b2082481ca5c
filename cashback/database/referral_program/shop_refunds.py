"""Refunds as shops report them: one of an amount with its id, or the sum of all so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from cashback.database.referral_program.refunds import RecordedRefund, Refund, RefundOutcome, is_order, record_refund
from cashback.database.tables import referral_purchases, referral_refunds
from cashback.domain.earning import FROM_MAIN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopRefund:
    """A refund of an order. Without `refund_id`, `amount_cents` is all that was refunded of the order so far.

    `amount_cents` is None for the whole order.
    """

    order_id: str
    amount_cents: int | None
    refund_id: str | None = None


def record_shop_refunds(
    connection: Connection,
    refunds: Sequence[ShopRefund],
    *,
    actor: str,
    now: datetime,
    origin: Origin = FROM_MAIN,
) -> list[RecordedRefund | None]:
    """Record refunds in the order given; None for those that change nothing.

    These are refunds of orders that are not known, sums that are recorded already, and ids that are known. More than
    is left of an order takes what is left: a shop refunds taxes and shipping that its order here may not have.
    """
    return [_record(connection, refund, actor, now, origin) for refund in refunds]


def _record(
    connection: Connection, refund: ShopRefund, actor: str, now: datetime, origin: Origin
) -> RecordedRefund | None:
    columns = (referral_purchases.c.amount_cents, referral_purchases.c.refunded_cents)
    order = connection.execute(select(*columns).where(is_order(origin.source, refund.order_id))).one_or_none()
    if order is None:
        return None
    left_cents = order.amount_cents - order.refunded_cents
    wanted_cents = order.amount_cents if refund.amount_cents is None else refund.amount_cents
    if refund.refund_id is None:
        wanted_cents -= order.refunded_cents
        refund_id = f"{refund.order_id}/{min(order.amount_cents, order.refunded_cents + wanted_cents)}"
    else:
        refund_id = refund.refund_id
        known = select(referral_refunds.c.refund_id).where(
            referral_refunds.c.source == origin.source, referral_refunds.c.refund_id == refund_id
        )
        if connection.scalar(known) is not None:
            return None
    amount_cents = min(wanted_cents, left_cents)
    if amount_cents <= 0:
        return None
    wanted = Refund(order_id=refund.order_id, amount_cents=amount_cents, refund_id=refund_id)
    recorded = record_refund(connection, wanted, actor=actor, now=now, origin=origin)
    return None if recorded.outcome is RefundOutcome.REPEATED else recorded
