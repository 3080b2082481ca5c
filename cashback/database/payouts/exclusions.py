"""Referrers excluded from a batch although cashback is pending, each with the reason. The cashback stays pending."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, insert, literal, select

from cashback.database.referral_program.pending import pending_by_referrer
from cashback.database.referral_program.people import BEFORE_ALL
from cashback.database.tables import payout_exclusions
from cashback.domain.model import ExclusionReason, ReasonCount


def leave_out(
    connection: Connection,
    number: int,
    among: Select[int] | None,
    reason: ExclusionReason,
    now: datetime,
    *,
    below_cents: int | None = None,
) -> int:
    """Exclude those of these referrers that have cashback pending; one that is excluded already keeps the first reason.

    With `below_cents` only those with less pending than that; without `among` it is everyone. Returns how many were
    added. The plan is written afterwards, from the others.
    """
    columns = (owed := pending_by_referrer(now, among=among)).selected_columns
    rows = owed.with_only_columns(literal(number), columns.referrer_id, columns.pending_cents, literal(reason))
    if below_cents is not None:
        rows = rows.where(columns.pending_cents < below_cents)
    rows = rows.where(~is_left_out(number, columns.referrer_id)).order_by(columns.referrer_id)
    names = ["batch_number", "referrer_id", "pending_cents", "reason"]
    return connection.execute(insert(payout_exclusions).from_select(names, rows)).rowcount


def is_left_out(number: int, referrer_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Build the SQL condition that a referrer is excluded from a batch."""
    of_both = and_(payout_exclusions.c.batch_number == number, payout_exclusions.c.referrer_id == referrer_id)
    return exists().where(of_both).correlate_except(payout_exclusions)


def of_batch(
    connection: Connection, number: int, *, limit: int, after_referrer_id: int = BEFORE_ALL
) -> list[Row[tuple[int, int, int, str]]]:
    """List the referrers excluded from a batch in key order: batch_number, referrer_id, pending_cents, reason."""
    query = (
        select(payout_exclusions)
        .where(payout_exclusions.c.batch_number == number, payout_exclusions.c.referrer_id > after_referrer_id)
        .order_by(payout_exclusions.c.referrer_id)
        .limit(limit)
    )
    return list(connection.execute(query).all())


def counted(connection: Connection, number: int) -> tuple[ReasonCount, ...]:
    """Count the referrers excluded from a batch by reason, with the cents that stay pending."""
    query = (
        select(payout_exclusions.c.reason, func.count(), func.sum(payout_exclusions.c.pending_cents))
        .where(payout_exclusions.c.batch_number == number)
        .group_by(payout_exclusions.c.reason)
        .order_by(payout_exclusions.c.reason)
    )
    return tuple(
        ReasonCount(reason=reason, count=count, cents=cents) for reason, count, cents in connection.execute(query)
    )
