"""Coverage: which purchases the cashback that was paid on a referral stands for.

What is paid on a referral covers its purchases in the order in which they became payable; what it earned before this
program kept its purchases comes first. Coverage is derived from the rows and never stored.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, or_, select

from cashback.database.referral_program.pending import PPM
from cashback.database.tables import referral_purchases

_BOUGHT: Final = referral_purchases.c
_BECAME_PAYABLE: Final = func.coalesce(_BOUGHT.payable_at, _BOUGHT.recorded_at)


def paid_cents_of(connection: Connection, referral: Row[Any], order: Row[Any], fell: int) -> int:
    """Return how many of the cents by which a refund lowers the earnings had been paid.

    `referral` is the row before the refund, `order` the refunded purchase, whose row stands as refunded already. Of a
    purchase that was paid in part the unpaid part is taken first.
    """
    all_cents, all_rest, cents, rest = connection.execute(_kept(order)).one()
    unexplained = max(referral.cashback_earned_cents - fell - (all_cents + all_rest // PPM), 0)
    earned_up_to_it: int = unexplained + cents + rest // PPM
    return max(min(int(referral.cashback_paid_cents) - earned_up_to_it, fell), 0)


def span_of(connection: Connection, referral: Row[Any], order: Row[Any]) -> tuple[int, int]:
    """Return from which to which cent of all that a referral earned a purchase earned its own."""
    all_cents, all_rest, cents, rest = connection.execute(_kept(order)).one()
    unexplained = max(referral.cashback_earned_cents - (all_cents + all_rest // PPM), 0)
    end = cents * PPM + rest
    own = (order.amount_cents - order.refunded_cents) * order.rate_ppm
    return unexplained + (end - own) // PPM, unexplained + end // PPM


def middle_ppm_of(connection: Connection, referral: Row[Any], order: Row[Any]) -> int:
    """Return how much a referral had earned in all, before refunds, at the middle of a purchase: millionths of a cent.

    `referral` is the row before a refund. The middle is away from both neighbours, so that rounding does not matter.
    """
    all_cents, all_rest, cents, rest = connection.execute(_sums(order, _BOUGHT.amount_cents)).one()
    in_all = referral.cashback_earned_cents + referral.cashback_refunded_cents
    unexplained = max(in_all - (all_cents + all_rest // PPM), 0)
    return int((unexplained + cents) * PPM + rest - order.amount_cents * order.rate_ppm // 2)


def _kept(order: Row[Any]) -> Select[Any]:
    """Select cents and millionths that the referral's purchases earned: all, and those up to this one."""
    return _sums(order, _BOUGHT.amount_cents - _BOUGHT.refunded_cents)


def _sums(order: Row[Any], amount: ColumnElement[int]) -> Select[Any]:
    product = amount * _BOUGHT.rate_ppm
    this = order.payable_at or order.recorded_at
    up_to = or_(this > _BECAME_PAYABLE, and_(this == _BECAME_PAYABLE, _BOUGHT.order_id <= order.order_id))
    sums = [
        func.coalesce(func.sum(part), 0)
        for part in (
            product // PPM,
            product % PPM,
            case((up_to, product // PPM), else_=0),
            case((up_to, product % PPM), else_=0),
        )
    ]
    return select(*sums).where(_BOUGHT.referral_id == order.referral_id)
