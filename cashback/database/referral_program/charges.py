"""Charges: what a refund takes off of the payouts that paid the refunded purchase, each cent once.

A refund first takes off what reversals of these payouts took back already: that is neither owed nor paid any more. The
rest is charged to the payouts: the referrer owes it until later earnings recover it or a reversal takes it back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, select, update

from cashback.database.referral_program import coverage
from cashback.database.referral_program.pending import PPM, owed_cents
from cashback.database.tables import payout_batches, payout_shares, referrals, wallet_transactions


@dataclass(slots=True, kw_only=True)
class Charge:
    """What a refund took off of what was paid: taken back by reversals before, and charged now."""

    forgiven_cents: int = 0
    charged_cents: int = 0


def charge(connection: Connection, referral: Row[Any], order: Row[Any], paid_cents: int, now: datetime) -> Charge:
    """Divide among the payouts of a referral what a refund takes off of what they paid; write it to their shares.

    `referral` is the row before the refund, `order` the refunded purchase, whose row stands as refunded already. Those
    payouts come first whose plan had the purchase. No other paid it, so the rest is of what it recovered of an earlier
    debt, which stands again and is not charged twice. Without such a debt a wrong clock may have hidden its payout.
    """
    taken = Charge()
    if not paid_cents:
        return taken
    shares = connection.execute(_paid_shares(referral)).all()
    middle_ppm = coverage.middle_ppm_of(connection, referral, order)
    its_own = [share for share in shares if _had(share, order, middle_ppm)]
    left = _charge_each(connection, its_own, paid_cents, taken)
    if left:
        owed = connection.scalars(select(owed_cents(now)).where(referrals.c.id == referral.id)).one()
        left -= min(left, max(referral.cashback_charged_cents - owed, 0))
    others = [share for share in shares if share not in its_own]
    left = _charge_each(connection, others, left, taken)
    # What another bot marked as paid has no share.
    taken.charged_cents += left
    return taken


def _paid_shares(referral: Row[Any]) -> Any:  # noqa: ANN401 -- columns of several types
    """Select what payouts paid of a referral, oldest first. The index of the wallet's transactions finds them."""
    share, moved = payout_shares.c, wallet_transactions.c
    same = and_(share.batch_number == moved.cashback_payout_batch_number, share.referrer_id == moved.user_discord_id)
    return (
        select(payout_shares, payout_batches.c.proposed_at)
        .join_from(wallet_transactions, payout_shares, same)
        .join(payout_batches, payout_batches.c.number == share.batch_number)
        .where(moved.user_discord_id == referral.referrer_user_id, share.referral_id == referral.id)
        .where(share.paid_cents > 0)
        .order_by(share.batch_number)
    )


def _had(share: Row[Any], order: Row[Any], middle_ppm: int) -> bool:
    """Return whether a payout's plan had a purchase: by time, or within one moment by what was earned until then."""
    became_payable = order.payable_at or order.recorded_at
    if share.proposed_at != became_payable:
        return bool(share.proposed_at > became_payable)
    return bool((share.payable_cents + share.refunded_cents) * PPM >= middle_ppm)


def _charge_each(connection: Connection, shares: Iterable[Row[Any]], cents: int, taken: Charge) -> int:
    """Charge shares one after another, each with what no refund has taken off yet; return what is left."""
    for share in shares:
        part = min(cents, share.paid_cents - share.charged_cents - (share.returned_cents - share.forfeited_cents))
        if part > 0:
            cents -= part
            forgiven = min(share.forfeited_cents, part)
            taken.forgiven_cents += forgiven
            taken.charged_cents += part - forgiven
            connection.execute(
                update(payout_shares)
                .where(payout_shares.c.batch_number == share.batch_number)
                .where(payout_shares.c.referrer_id == share.referrer_id)
                .where(payout_shares.c.referral_id == share.referral_id)
                .values(
                    charged_cents=payout_shares.c.charged_cents + part - forgiven,
                    forfeited_cents=payout_shares.c.forfeited_cents - forgiven,
                )
            )
    return cents
