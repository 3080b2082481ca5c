"""Shares: what a payout was shown to pay of each referral, what it paid of it, and what a reversal took back.

An approval is for the cashback that was shown. A plan keeps what of each referral's earnings was payable when it was
made; a payout pays of a referral at most what is left of that, less the refunds since, and never what was earned later.
"""

from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    insert,
    select,
    update,
)

from cashback.database.referral_program.blacklist import everyone_blacklisted
from cashback.database.referral_program.pending import Moment, held_cents, is_pending
from cashback.database.referral_program.unusable_rows import is_usable
from cashback.database.tables import payout_shares, payouts, referrals
from cashback.domain.model import PayoutStatus

_NUMBER: Final = bindparam("number", type_=BigInteger)
_NOW: Final = bindparam("now", type_=payouts.c.settled_at.type)
_IN_RANGE: Final = payout_shares.c.referrer_id.between(
    bindparam("first", type_=BigInteger), bindparam("last", type_=BigInteger)
)

OF_CHUNK: Final = and_(payout_shares.c.batch_number == _NUMBER, _IN_RANGE, payout_shares.c.paid_cents > 0)
"""The shares of a chunk that pay anything."""


def plan(connection: Connection, number: int, now: datetime) -> None:
    """Write the share of each referral that has cashback pending in each payout of a batch that was just planned."""
    connection.execute(_plan(), {"number": number, "now": now})


@cache
def _plan() -> Insert:
    rows = (
        select(
            payouts.c.batch_number,
            payouts.c.referrer_id,
            referrals.c.id,
            referrals.c.cashback_earned_cents - held_cents(_NOW),
            referrals.c.cashback_refunded_cents,
        )
        .join_from(payouts, referrals, referrals.c.referrer_user_id == payouts.c.referrer_id)
        .where(payouts.c.batch_number == _NUMBER, is_pending(_NOW))
        .order_by(payouts.c.referrer_id, referrals.c.id)
    )
    names = ["batch_number", "referrer_id", "referral_id", "payable_cents", "refunded_cents"]
    return insert(payout_shares).from_select(names, rows)


def left_cents(now: Moment) -> ColumnElement[int]:
    """Express in SQL what a share still pays of its referral: of what was shown, what is earned and not paid now."""
    refunded_since = referrals.c.cashback_refunded_cents - payout_shares.c.refunded_cents
    shown = payout_shares.c.payable_cents - refunded_since
    payable = referrals.c.cashback_earned_cents - held_cents(now)
    return case((shown < payable, shown), else_=payable) - referrals.c.cashback_paid_cents


@cache
def _pay() -> Update:
    left = left_cents(_NOW)
    return (
        update(payout_shares)
        .where(
            payout_shares.c.batch_number == _NUMBER,
            _IN_RANGE,
            payouts.c.batch_number == payout_shares.c.batch_number,
            payouts.c.referrer_id == payout_shares.c.referrer_id,
            payouts.c.status == PayoutStatus.PLANNED,
            referrals.c.id == payout_shares.c.referral_id,
            referrals.c.referrer_user_id == payout_shares.c.referrer_id,
            is_usable,
            left > 0,
            payout_shares.c.referrer_id.not_in(everyone_blacklisted()),
        )
        .values(paid_cents=left)
    )


def pay(connection: Connection, values: dict[str, object]) -> None:
    """Set what the planned payouts of a chunk pay of each referral. `values` are the chunk's key range and `now`."""
    connection.execute(_pay(), values)


def paid_by_referrer() -> Select[int, int]:
    """Select what the payouts of a chunk pay of all their referrals: referrer and cents."""
    return (
        select(payout_shares.c.referrer_id, func.sum(payout_shares.c.paid_cents).label("cents"))
        .where(OF_CHUNK)
        .group_by(payout_shares.c.referrer_id)
    )
