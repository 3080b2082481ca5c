"""Reconciliation of what was taken back: each payout once, by one transaction, and no cent more than it had paid."""

from collections.abc import Iterator

from sqlalchemy import Connection, and_, exists, func, not_, or_, select

from database.payouts.reversals import TRANSACTION_TYPE
from database.tables import payout_reversals, payouts, reversals, wallet_transactions
from pipeline.messages import PayoutStatus, ReversalStatus


def wrong_reversals(connection: Connection) -> Iterator[str]:
    """Find reversals that do not follow from their payout and their transaction, and such transactions without one."""
    taken, moves = payout_reversals.c, wallet_transactions.c
    same_payout = and_(payouts.c.batch_number == taken.batch_number, payouts.c.referrer_id == taken.referrer_id)
    query = (
        select(taken.batch_number, taken.referrer_id, taken.amount_cents, taken.shortfall_cents)
        .join_from(payout_reversals, payouts, same_payout, isouter=True)
        .join(wallet_transactions, moves.id == taken.transaction_id, isouter=True)
        .join(reversals, reversals.c.number == taken.reversal_number, isouter=True)
        .where(
            or_(
                payouts.c.status.is_(None),
                reversals.c.number.is_(None),
                payouts.c.status != PayoutStatus.CREDITED,
                payouts.c.paid_cents != taken.amount_cents + taken.shortfall_cents,
                func.coalesce(moves.amount_cents, 0) != -taken.amount_cents,
                func.coalesce(moves.user_discord_id, taken.referrer_id) != taken.referrer_id,
                func.coalesce(moves.transaction_type, TRANSACTION_TYPE) != TRANSACTION_TYPE,
            )
        )
    )
    for row in connection.execute(query):
        yield (
            f"the reversal of batch {row.batch_number}'s payout to {row.referrer_id} takes {row.amount_cents} cents and"
            f" misses {row.shortfall_cents}, its payout and its transaction do not say so"
        )
    unknown = select(moves.id, moves.user_discord_id).where(
        moves.transaction_type == TRANSACTION_TYPE, not_(exists().where(taken.transaction_id == moves.id))
    )
    for transaction_id, user_id in connection.execute(unknown):
        yield f"transaction {transaction_id} takes cashback back from {user_id} without a reversal"
    yield from _wrong_sums(connection)


def _wrong_sums(connection: Connection) -> Iterator[str]:
    taken = payout_reversals.c
    sums = (
        select(
            taken.reversal_number,
            func.count().label("count"),
            func.sum(taken.amount_cents).label("reversed"),
            func.sum(taken.shortfall_cents).label("short"),
        )
        .group_by(taken.reversal_number)
        .subquery("sums")
    )
    query = (
        select(reversals.c.number)
        .join_from(reversals, sums, sums.c.reversal_number == reversals.c.number, isouter=True)
        .where(
            or_(
                and_(reversals.c.status != ReversalStatus.DONE, sums.c.count.is_not(None)),
                and_(
                    reversals.c.status == ReversalStatus.DONE,
                    or_(
                        reversals.c.planned_count != func.coalesce(sums.c.count, 0),
                        reversals.c.reversed_cents != func.coalesce(sums.c.reversed, 0),
                        reversals.c.shortfall_cents != func.coalesce(sums.c.short, 0),
                    ),
                ),
            )
        )
    )
    for number in connection.scalars(query):
        yield f"reversal {number} stores totals that what it took back does not make"
