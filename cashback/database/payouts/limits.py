"""What a batch may hold at most. Referrers over a limit are excluded, and come first in the next batch.

The order is the same for everybody and for every repetition: first those that limits have excluded from the most
batches in a row, then the largest amount, then the lower id. So nobody waits forever while others are paid each week.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, Subquery, and_, func, insert, literal, select

from cashback.database.payouts.exclusions import is_left_out
from cashback.database.referral_program.pending import pending_by_referrer
from cashback.database.tables import payout_batches, payout_exclusions
from cashback.domain.model import BatchLimits, BatchMode, BatchStatus, ExclusionReason

NAMES = ["batch_number", "referrer_id", "pending_cents", "reason", "turns"]


def leave_out(
    connection: Connection, number: int, now: datetime, terms: BatchLimits, *, among: Select[int] | None
) -> int:
    """Exclude from a batch the referrers that do not fit into it; return how many. Excluded referrers take no place."""
    left_out = 0
    if terms.max_total_cents is not None:
        # An amount that is too much by itself would block all others: it is excluded first, until the limit is raised.
        waiting = _waiting(connection, number, now, among)
        too_much = waiting.c.cents > terms.max_total_cents
        left_out += _insert(connection, number, waiting, too_much, ExclusionReason.OVER_TOTAL_LIMIT)
    if terms.max_users is not None:
        waiting = _waiting(connection, number, now, among)
        over = waiting.c.place > terms.max_users
        left_out += _insert(connection, number, waiting, over, ExclusionReason.OVER_USER_LIMIT)
    if terms.max_total_cents is not None:
        waiting = _waiting(connection, number, now, among)
        over = waiting.c.running_cents > terms.max_total_cents
        left_out += _insert(connection, number, waiting, over, ExclusionReason.OVER_TOTAL_LIMIT)
    return left_out


def _waiting(connection: Connection, number: int, now: datetime, among: Select[int] | None) -> Subquery:
    """Rank the referrers that would be paid: place, and the cents of all up to there."""
    owed = pending_by_referrer(now, among=among).subquery("owed")
    before = payout_exclusions.alias("before")
    turns = func.coalesce(before.c.turns, 0)
    order = (turns.desc(), owed.c.pending_cents.desc(), owed.c.referrer_id)
    last_time = and_(
        before.c.batch_number == _batch_before(connection, number), before.c.referrer_id == owed.c.referrer_id
    )
    return (
        select(
            owed.c.referrer_id,
            owed.c.pending_cents.label("cents"),
            (turns + 1).label("turns"),
            func.row_number().over(order_by=order).label("place"),
            func.sum(owed.c.pending_cents).over(order_by=order, rows=(None, 0)).label("running_cents"),
        )
        .join_from(owed, before, last_time, isouter=True)
        .where(~is_left_out(number, owed.c.referrer_id))
        .subquery("waiting")
    )


def _batch_before(connection: Connection, number: int) -> int:
    """Find the last finished batch that was for everyone; 0 where there is none, which no batch has as its number."""
    query = (
        select(payout_batches.c.number)
        .where(payout_batches.c.number < number, payout_batches.c.mode == BatchMode.BATCH)
        .where(payout_batches.c.selected_count.is_(None))
        .where(payout_batches.c.status.in_([BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES]))
        .order_by(payout_batches.c.number.desc())
        .limit(1)
    )
    # None would be asked for as NULL, and NULL is sought in every row.
    return connection.scalars(query).one_or_none() or 0


def _insert(
    connection: Connection, number: int, waiting: Subquery, over: ColumnElement[bool], reason: ExclusionReason
) -> int:
    rows = select(literal(number), waiting.c.referrer_id, waiting.c.cents, literal(reason), waiting.c.turns)
    rows = rows.where(over).order_by(waiting.c.referrer_id)
    return connection.execute(insert(payout_exclusions).from_select(NAMES, rows)).rowcount
