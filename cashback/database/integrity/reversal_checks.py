"""Reconciliation of what was taken back: each payout once, by one transaction, and no cent more than it had paid."""

from typing import Any

from sqlalchemy import Select, and_, exists, func, not_, or_, select

from cashback.database.integrity.checks import finds
from cashback.database.payouts.reversed_sums import TRANSACTION_TYPE
from cashback.database.tables import payout_reversals, payouts, reversals, wallet_transactions
from cashback.domain.model import PayoutStatus, ReversalStatus


@finds(
    "the reversal of batch {batch_number}'s payout to {referrer_id} takes {amount_cents} cents and misses"
    " {shortfall_cents}, its payout and its transaction do not say so"
)
def wrong_reversals() -> Select[Any]:
    """Find reversals that do not follow from their payout and their transaction."""
    taken, moves = payout_reversals.c, wallet_transactions.c
    same_payout = and_(payouts.c.batch_number == taken.batch_number, payouts.c.referrer_id == taken.referrer_id)
    return (
        select(taken.batch_number, taken.referrer_id, taken.amount_cents, taken.shortfall_cents)
        .join_from(payout_reversals, payouts, same_payout, isouter=True)
        .join(wallet_transactions, moves.id == taken.transaction_id, isouter=True)
        .join(reversals, reversals.c.number == taken.reversal_number, isouter=True)
        .where(
            or_(
                payouts.c.status.is_(None),
                reversals.c.number.is_(None),
                reversals.c.batch_number != taken.batch_number,
                payouts.c.status != PayoutStatus.CREDITED,
                payouts.c.paid_cents != taken.amount_cents + taken.shortfall_cents + taken.recovered_cents,
                func.coalesce(moves.amount_cents, 0) != -taken.amount_cents,
                func.coalesce(moves.user_discord_id, taken.referrer_id) != taken.referrer_id,
                func.coalesce(moves.transaction_type, TRANSACTION_TYPE) != TRANSACTION_TYPE,
                and_(moves.id.is_not(None), moves.created_at.is_distinct_from(reversals.c.finished_at)),
            )
        )
    )


@finds("transaction {id} takes cashback back from {user_discord_id} without a reversal")
def transactions_without_reversal() -> Select[Any]:
    """Find transactions that take back what no reversal names."""
    moves = wallet_transactions.c
    return select(moves.id, moves.user_discord_id).where(
        moves.transaction_type == TRANSACTION_TYPE,
        not_(exists().where(payout_reversals.c.transaction_id == moves.id)),
    )


@finds("reversal {number} stores totals that what it took back does not make")
def wrong_reversal_totals() -> Select[Any]:
    """Find reversals with other stored totals than they took back."""
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
    return (
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
