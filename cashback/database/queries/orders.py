"""One order with all that is known of it. What was paid of it is derived: payouts cover purchases in their order."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from cashback.database.referral_program import caps, coverage
from cashback.database.referral_program.blacklist import blacklisted
from cashback.database.referral_program.pending import PPM
from cashback.database.referral_program.refunds import Order, find_order
from cashback.database.tables import (
    intakes,
    is_unmatched,
    kept_refunds,
    order_corrections,
    payout_batches,
    payout_shares,
    referral_refunds,
    referrals,
    unmatched_purchases,
)
from cashback.domain.earning import ANY_TIME, MAIN, EarningDates, order_key
from cashback.domain.orders import OrderCorrection, OrderFacts, OrderPart, OrderRefund


def find_orders(
    connection: Connection,
    order_id: str,
    now: datetime,
    *,
    source: str | None = None,
    dates: EarningDates = ANY_TIME,
) -> list[OrderFacts]:
    """Find the orders with this id: at most one of each shop, or of the one that is named."""
    sources = [source] if source is not None else _sources(connection)
    found = (_in_shop(connection, each, order_id, now, dates) for each in sources)
    return [facts for facts in found if facts is not None]


def _sources(connection: Connection) -> list[str]:
    query = select(intakes.c.source).union(select(unmatched_purchases.c.source))
    return [MAIN, *(each for each in sorted(connection.scalars(query)) if each != MAIN)]


def _in_shop(
    connection: Connection, source: str, order_id: str, now: datetime, dates: EarningDates
) -> OrderFacts | None:
    key = order_key(order_id)
    order = find_order(connection, source, key)
    kept = select(func.count()).where(
        kept_refunds.c.source == source, kept_refunds.c.order_id == key, kept_refunds.c.applied_at.is_(None)
    )
    if order is None:
        waits = select(unmatched_purchases).where(
            is_unmatched, unmatched_purchases.c.source == source, unmatched_purchases.c.order_id == key
        )
        row = connection.execute(waits).one_or_none()
        if row is None:
            return None
        return OrderFacts(
            source=source,
            order_id=key,
            amount_cents=row.amount_cents,
            intake_number=row.intake_number,
            waits_until=row.waits_until,
            kept_refunds=connection.scalars(kept).one(),
        )
    return OrderFacts(
        source=source,
        order_id=order.order_id,
        amount_cents=order.amount_cents,
        intake_number=order.rows[0].intake_number,
        parts=tuple(_part(connection, row, now, dates) for row in order.rows),
        refunds=tuple(_refunds(connection, source, order)),
        corrections=tuple(_corrections(connection, source, order)),
        kept_refunds=connection.scalars(kept).one(),
    )


def _part(connection: Connection, row: Row[Any], now: datetime, dates: EarningDates) -> OrderPart:
    referral = connection.execute(select(referrals).where(referrals.c.id == row.referral_id)).one_or_none()
    start, end = (0, 0) if referral is None else coverage.span_of(connection, referral, row)
    is_held = row.payable_at is not None and row.payable_at > now
    paid = [] if referral is None else [*_paid(connection, referral, start, end)]
    referred = select(referrals.c.id).where(
        referrals.c.referred_user_id == row.buyer_id, referrals.c.cashback_unlinked_at.is_(None)
    )
    return OrderPart(
        order_id=row.order_id,
        buyer_id=row.buyer_id,
        referrer_id=row.referrer_user_id,
        amount_cents=row.amount_cents,
        refunded_cents=row.refunded_cents,
        rate_ppm=row.rate_ppm,
        earned_cents=end - start,
        held_cents=max(end - start - sum(cents for _, cents in paid), 0) if is_held else 0,
        paid_cents=sum(cents for _, cents in paid),
        paid=tuple(paid),
        purchased_at=row.purchased_at,
        recorded_at=row.recorded_at,
        payable_at=row.payable_at,
        is_blacklisted=row.referrer_user_id is not None and blacklisted(connection, row.referrer_user_id),
        is_capped=referral is not None and _is_capped(connection, row, dates),
        is_over=referral is not None and dates.is_over(row.purchased_at, referral.created_at),
        is_unlinked=referral is not None and referral.cashback_unlinked_at is not None,
        has_referrer_now=connection.scalar(referred) is not None,
    )


def _is_capped(connection: Connection, row: Row[Any], dates: EarningDates) -> bool:
    """Return whether the referrer reached the cap of the purchase's month."""
    if dates.monthly_cap_cents is None:
        return False
    earned = caps.earned_in_month(connection, row.referrer_user_id, row.purchased_at)
    return bool(earned + row.amount_cents >= dates.monthly_cap_cents * PPM)


def _paid(connection: Connection, referral: Row[Any], start: int, end: int) -> Iterator[tuple[str | None, int]]:
    """Yield what payouts paid of the cents from start to end of a referral, oldest batch first."""
    shares = (
        select(payout_batches.c.batch_id, payout_shares.c.paid_cents)
        .join_from(payout_shares, payout_batches, payout_batches.c.number == payout_shares.c.batch_number)
        .where(
            payout_shares.c.referrer_id == referral.referrer_user_id,
            payout_shares.c.referral_id == referral.id,
            payout_shares.c.paid_cents > 0,
        )
        .order_by(payout_shares.c.batch_number)
    )
    rows: Sequence[Any] = [(None, referral.cashback_paid_elsewhere_cents), *connection.execute(shares)]
    position = 0
    for batch_id, cents in rows:
        first, position = position, min(position + cents, referral.cashback_paid_cents)
        covered = min(position, end) - max(first, start)
        if covered > 0:
            yield batch_id, covered


def _refunds(connection: Connection, source: str, order: Order) -> Iterator[OrderRefund]:
    query = select(referral_refunds).where(
        referral_refunds.c.source == source,
        referral_refunds.c.order_id.in_([row.order_id for row in order.rows]),
        referral_refunds.c.correction_number.is_(None),
    )
    for row in connection.execute(query.order_by(referral_refunds.c.refunded_at, referral_refunds.c.refund_id)):
        yield OrderRefund(
            refund_id=row.part_of or row.refund_id,
            amount_cents=row.amount_cents,
            taken_cents=row.taken_cents,
            refunded_at=row.refunded_at,
            reason=row.reason,
        )


def _corrections(connection: Connection, source: str, order: Order) -> Iterator[OrderCorrection]:
    columns = [column for column in order_corrections.c if column.name not in {"source", "order_id"}]
    query = select(*columns).where(order_corrections.c.source == source, order_corrections.c.order_id == order.order_id)
    for row in connection.execute(query.order_by(order_corrections.c.number)).mappings():
        yield OrderCorrection(**row)
