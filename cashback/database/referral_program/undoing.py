"""Undoing an import while nothing of it is paid: its purchases, refunds and referrals go, and may be imported again.

The import's row and its audit entry stay, with an entry that it was undone. A refund that came later of one of its
purchases is kept for the purchase that comes again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, delete, exists, func, insert, or_, select, update

from cashback.database.audit_log import add_entry
from cashback.database.referral_program import coverage, links
from cashback.database.referral_program.kept_refunds import Kind
from cashback.database.referral_program.pending import PPM
from cashback.database.tables import (
    intakes,
    kept_refunds,
    order_corrections,
    payout_shares,
    referral_purchases,
    referral_refunds,
    referrals,
    unmatched_hints,
    unmatched_purchases,
)
from cashback.domain.earning import order_key
from cashback.domain.errors import CashbackError

UNDONE: Final = "intake_undone"

_BOUGHT, _REFUNDED = referral_purchases.c, referral_refunds.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What was undone of an import."""

    number: int
    source: str
    purchases: int
    cents: int
    earned_cents: int
    refunds: int
    waiting: int
    referrals: int


def undo(connection: Connection, number: int, *, actor: str, now: datetime) -> Undone:
    """Undo an import or delivery. Raises CashbackError with the reason if it cannot be; then nothing is changed."""
    source: str = _require_undoable(connection, number).source
    connection.execute(update(intakes).where(intakes.c.number == number).values(undone_at=now))
    refunds = _undo_refunds(connection, number)
    purchases, cents, earned_cents = _undo_purchases(connection, number)
    undone = Undone(
        number=number,
        source=source,
        purchases=purchases,
        cents=cents,
        earned_cents=earned_cents,
        refunds=refunds,
        waiting=_undo_waiting(connection, number),
        referrals=_undo_referrals(connection, number, actor=actor, now=now),
    )
    details = {
        "intake": number,
        "source": source,
        "purchases": undone.purchases,
        "cents": cents,
        "refunds": refunds,
        "waiting": undone.waiting,
        "referrals": undone.referrals,
    }
    add_entry(connection, at=now, actor=actor, action=UNDONE, details=details)
    return undone


def _require_undoable(connection: Connection, number: int) -> Row[Any]:
    """Return the import. Raises CashbackError if something else refers to what it brought."""
    intake = connection.execute(select(intakes).where(intakes.c.number == number)).one_or_none()
    if intake is None:
        raise CashbackError(f"There is no import {number}; the audit log has the number of each.")
    if intake.undone_at is not None:
        raise CashbackError(f"Import {number} was undone on {intake.undone_at:%Y-%m-%d} already.")
    for query, reason in _obstacles(number):
        found = connection.scalar(query.limit(1))
        if found is not None:
            raise CashbackError(f"Import {number} cannot be undone: {reason.format(found)}. Nothing was changed.")
    paid = _paid_order(connection, number)
    if paid is not None:
        raise CashbackError(f"Import {number} cannot be undone: cashback of order {paid} is paid. Nothing was changed.")
    return intake


def _obstacles(number: int) -> Iterator[tuple[Select[Any], str]]:
    """Yield what may refer to an import from outside, as a query for one and its text."""
    of_it, of_others = _BOUGHT.intake_number == number, _BOUGHT.intake_number.is_distinct_from(number)
    corrections = order_corrections.c
    corrected = exists().where(corrections.source == _BOUGHT.source, corrections.order_id == _BOUGHT.order_id)
    yield select(_BOUGHT.order_id).where(of_it, corrected), "order {} was corrected since"
    others = select(_REFUNDED.order_id).join_from(referral_refunds, referral_purchases, _SAME_ORDER)
    others = others.where(_REFUNDED.intake_number == number, of_others)
    yield others, "it refunded order {}, which another import brought"
    waited = and_(unmatched_purchases.c.source == _BOUGHT.source, unmatched_purchases.c.order_id == _BOUGHT.order_id)
    waiting = select(_BOUGHT.order_id).join_from(referral_purchases, unmatched_purchases, waited)
    waiting = waiting.where(of_it, unmatched_purchases.c.intake_number.is_distinct_from(number))
    yield waiting, "order {} waited for its member since another import"
    kept = and_(kept_refunds.c.source == _BOUGHT.source, kept_refunds.c.order_id == _BOUGHT.order_id)
    applied = select(_BOUGHT.order_id).join_from(referral_purchases, kept_refunds, kept)
    applied = applied.where(of_it, kept_refunds.c.intake_number.is_distinct_from(number))
    yield applied, "a refund of order {} came before it"
    of_referral = select(_BOUGHT.order_id).join_from(referral_purchases, referrals)
    of_referral = of_referral.where(referrals.c.cashback_intake_number == number, of_others)
    yield of_referral, "order {}, which did not come with it, earns by one of its referrals"


_SAME_ORDER: Final = and_(_BOUGHT.source == _REFUNDED.source, _BOUGHT.order_id == _REFUNDED.order_id)


def _paid_order(connection: Connection, number: int) -> str | None:
    """Return an order of the import of which something is paid, or planned to be; None if nothing is."""
    touched = select(_BOUGHT.referral_id).where(_BOUGHT.intake_number == number)
    paid = select(referrals).where(
        referrals.c.id.in_(touched),
        or_(
            referrals.c.cashback_paid_cents > 0,
            exists().where(payout_shares.c.referral_id == referrals.c.id, payout_shares.c.paid_cents > 0),
        ),
    )
    for referral in connection.execute(paid).all():
        rows = connection.execute(_purchases_of(number).where(_BOUGHT.referral_id == referral.id)).all()
        for row in rows:
            start, end = coverage.span_of(connection, referral, row)
            if start < min(end, referral.cashback_paid_cents):
                order_id: str = row.order_id
                return order_id
        if referral.cashback_paid_cents > referral.cashback_earned_cents - sum(row.earned_cents for row in rows):
            return str(rows[0].order_id)
    return None


def _purchases_of(number: int) -> Select[Any]:
    return select(referral_purchases).where(_BOUGHT.intake_number == number)


def _undo_refunds(connection: Connection, number: int) -> int:
    """Delete the refunds of the import's purchases; those that came otherwise are kept for the purchase to come."""
    of_it = select(referral_refunds).join_from(referral_refunds, referral_purchases, _SAME_ORDER)
    rows = connection.execute(of_it.where(_BOUGHT.intake_number == number)).all()
    own = 0
    for row in rows:
        if row.intake_number == number:
            own += 1
        elif row.part_of is None:
            _keep(connection, row)
        key = (_REFUNDED.source == row.source, _REFUNDED.refund_id == row.refund_id)
        connection.execute(delete(referral_refunds).where(*key))
    brought = kept_refunds.c.intake_number == number
    own += connection.execute(delete(kept_refunds).where(brought, kept_refunds.c.applied_at.is_(None))).rowcount
    connection.execute(delete(kept_refunds).where(brought))
    return own


def _keep(connection: Connection, row: Row[Any]) -> None:
    values = {
        "source": row.source,
        "order_id": order_key(row.order_id),
        "refund_id": row.refund_id,
        "kind": Kind.REFUND,
        "amount_cents": row.asked_cents or row.amount_cents,
        "reason": row.reason,
        "kept_by": row.refunded_by,
        "kept_at": row.refunded_at,
        "intake_number": row.intake_number,
    }
    connection.execute(insert(kept_refunds).values(**values))


def _undo_purchases(connection: Connection, number: int) -> tuple[int, int, int]:
    """Delete the purchases, and take what they earned off their referrals; return their number, cents and earnings."""
    kept = _BOUGHT.amount_cents - _BOUGHT.refunded_cents
    product = kept * _BOUGHT.rate_ppm
    sums = select(
        _BOUGHT.referral_id,
        func.sum(kept).label("spent"),
        func.sum(product // PPM).label("cents"),
        func.sum(product % PPM).label("rest"),
    )
    of_it = _BOUGHT.intake_number == number
    by_referral = sums.where(of_it, _BOUGHT.referral_id.is_not(None)).group_by(_BOUGHT.referral_id)
    changed: Sequence[Any] = connection.execute(by_referral).all()
    earned_cents = sum(_take_off(connection, row) for row in changed)
    totals = select(func.count(), func.coalesce(func.sum(_BOUGHT.amount_cents), 0)).where(of_it)
    count, cents = connection.execute(totals).one()
    connection.execute(delete(referral_purchases).where(of_it))
    return count, cents, earned_cents


def _take_off(connection: Connection, row: Any) -> int:  # noqa: ANN401 -- a row of sums
    referral = connection.execute(select(referrals).where(referrals.c.id == row.referral_id)).one()
    rise, carry = divmod(referral.cashback_carry_ppm - (row.cents * PPM + row.rest), PPM)
    connection.execute(
        update(referrals)
        .where(referrals.c.id == row.referral_id)
        .values(
            referred_total_spend_cents=referrals.c.referred_total_spend_cents - row.spent,
            cashback_earned_cents=referrals.c.cashback_earned_cents + rise,
            cashback_carry_ppm=carry,
            # To a plan that is open it is a refund: what is earned later does not take its place.
            cashback_refunded_cents=referrals.c.cashback_refunded_cents - rise,
        )
    )
    return -int(rise)


def _undo_waiting(connection: Connection, number: int) -> int:
    of_it = unmatched_purchases.c.intake_number == number
    same = (unmatched_hints.c.source == unmatched_purchases.c.source,)
    hints = exists().where(of_it, *same, unmatched_hints.c.order_id == unmatched_purchases.c.order_id)
    connection.execute(delete(unmatched_hints).where(hints))
    return connection.execute(delete(unmatched_purchases).where(of_it)).rowcount


def _undo_referrals(connection: Connection, number: int, *, actor: str, now: datetime) -> int:
    """Unlink the members that the import linked."""
    query = select(referrals.c.referrer_user_id, referrals.c.referred_user_id).where(
        referrals.c.cashback_intake_number == number, referrals.c.cashback_unlinked_at.is_(None)
    )
    pairs = connection.execute(query).all()
    for referrer_id, referred_id in pairs:
        links.unlink(connection, referrer_id, referred_id, reason=f"import {number} undone", actor=actor, now=now)
    return len(pairs)
