"""Reconciliation of shares: a payout paid and gave back what its referrals' shares say, and so was each referral."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    Table,
    and_,
    func,
    literal,
    or_,
    select,
    union_all,
)

from cashback.database.integrity.agreement import agreement, agrees, unless_they_agree
from cashback.database.integrity.checks import MOST_LINES, finds, finds_in
from cashback.database.tables import payout_reversals, payout_shares, payouts, referral_purchases, referrals

_MARKED: Final = (
    referrals.c.cashback_paid_cents - referrals.c.cashback_paid_elsewhere_cents - referrals.c.cashback_forfeited_cents
)
"""What our payouts paid of a referral and kept, as the referral has it."""


@cache
def _are_marked() -> Select[bool, bool]:
    """Ask whether each referral is marked with what its shares paid and kept."""
    share = payout_shares.c
    kept = func.sum(share.paid_cents - share.returned_cents).label("kept")
    sums = select(share.referral_id, kept).group_by(share.referral_id).subquery("sums")
    same = referrals.c.id == sums.c.referral_id
    return agreement(sums, referrals, same=same, equal=sums.c.kept == _MARKED, amount=_MARKED != 0)


@finds("referral {referral_id} forfeited {forfeited} cents, its shares {shares}")
def wrong_forfeits() -> Select[Any]:
    """Find referrals that forfeited something else than their shares: what reversals took back and no refund did."""
    referral, share, nothing = referrals.c, payout_shares.c, literal(0)
    forfeited = referral.cashback_forfeited_cents
    of_referrals = select(referral.id.label("referral_id"), forfeited.label("forfeited"), nothing.label("shares"))
    of_shares = select(share.referral_id, nothing, share.forfeited_cents).where(share.forfeited_cents != 0)
    each = union_all(of_referrals.where(forfeited != 0), of_shares).subquery("each").c
    sums = func.sum(each.forfeited), func.sum(each.shares)
    return (
        select(each.referral_id, sums[0].label("forfeited"), sums[1].label("shares"))
        .group_by(each.referral_id)
        .having(sums[0] != sums[1])
    )


def wrong_paid_sums(connection: Connection) -> Iterator[tuple[bool, str]]:
    """Find referrals of which another amount stands as paid than payouts paid and kept; True if it is less.

    What was paid before the ledger was adopted, or marked by another bot through `mark_cashback_paid`, is set apart,
    and so is what reversals took back and no refund has taken off since.
    """
    if agrees(connection, _are_marked):
        return
    for row in connection.execute(_marked_otherwise()):
        yield (
            row.marked < row.credited,
            f"referral {row.referral_id} was credited {row.credited} cents, {row.marked} are marked as paid",
        )


@cache
def _marked_otherwise() -> Select[Any]:
    referral, share = referrals.c, payout_shares.c
    nothing = literal(0)
    marked = select(referral.id.label("referral_id"), nothing.label("credited"), _MARKED.label("marked")).where(
        _MARKED != 0
    )
    credited = select(share.referral_id, share.paid_cents - share.returned_cents, nothing).where(share.paid_cents != 0)
    # One list of both, grouped once: a join would sort both, and a share that no referral stands for would be in none.
    each = union_all(marked, credited).subquery("each").c
    sums = func.sum(each.credited), func.sum(each.marked)
    return (
        select(each.referral_id, sums[0].label("credited"), sums[1].label("marked"))
        .group_by(each.referral_id)
        .having(sums[0] != sums[1])
        .limit(MOST_LINES + 1)
    )


@finds("order {order_id} is of buyer {buyer_id}, its referral {referral_id} is of another member")
def purchases_of_others() -> Select[Any]:
    """Find purchases of another referral than their buyer's, or of one that is not there.

    An inner join would be done in the order of the referrals, which costs a lookup of each purchase.
    """
    bought = referral_purchases.c
    return (
        select(bought.order_id, bought.buyer_id, bought.referral_id)
        .join_from(referral_purchases, referrals, referrals.c.id == bought.referral_id, isouter=True)
        .where(
            or_(
                referrals.c.referred_user_id != bought.buyer_id,
                and_(referrals.c.id.is_(None), bought.referral_id.is_not(None)),
            )
        )
    )


@finds("share of batch {batch_number} to {referrer_id} is of referral {referral_id}, which is not of that member")
def repointed() -> Select[Any]:
    """Find shares of a referral that is another member's now, or of one that is not there."""
    share = payout_shares.c
    return (
        select(share.batch_number, share.referrer_id, share.referral_id)
        .join_from(payout_shares, referrals, referrals.c.id == share.referral_id, isouter=True)
        .where(or_(referrals.c.id.is_(None), referrals.c.referrer_user_id != share.referrer_id))
    )


def _add_up() -> Select[bool, bool]:
    """Ask whether each payout paid the sum of its shares."""
    sums = _by_payout(payout_shares.c.paid_cents)
    of_payout = payouts.c.paid_cents
    return agreement(sums, payouts, same=_same(sums, payouts), equal=of_payout == sums.c.cents, amount=of_payout != 0)


def _gave_back() -> Select[bool, bool]:
    """Ask whether each reversal took back the sum of what its payout's shares gave back."""
    sums = _by_payout(payout_shares.c.returned_cents)
    taken = payout_reversals.c.amount_cents
    return agreement(
        sums, payout_reversals, same=_same(sums, payout_reversals), equal=taken == sums.c.cents, amount=taken != 0
    )


def _by_payout(cents: Column[int]) -> Subquery:
    of_payout = payout_shares.c.batch_number, payout_shares.c.referrer_id
    return select(*of_payout, func.sum(cents).label("cents")).where(cents != 0).group_by(*of_payout).subquery("sums")


def _same(sums: Subquery, table: Table) -> ColumnElement[bool]:
    return and_(table.c.batch_number == sums.c.batch_number, table.c.referrer_id == sums.c.referrer_id)


@unless_they_agree(_add_up, _gave_back)
@finds_in(
    payouts.c.batch_number,
    "payout of batch {batch_number} to {referrer_id} paid {paid_cents} cents and gave back {given}, its shares make"
    " {paid} and {returned}",
)
def wrong_shares() -> Select[Any]:
    """Find payouts with shares that do not add up to what they paid, and to what a reversal took back of it."""
    share = payout_shares.c
    sums = (
        select(
            share.batch_number,
            share.referrer_id,
            func.sum(share.paid_cents).label("paid"),
            func.sum(share.returned_cents).label("returned"),
        )
        .group_by(share.batch_number, share.referrer_id)
        .subquery("sums")
    )
    paid, returned = func.coalesce(sums.c.paid, 0), func.coalesce(sums.c.returned, 0)
    given = func.coalesce(payout_reversals.c.amount_cents, 0)
    return (
        select(
            payouts.c.batch_number,
            payouts.c.referrer_id,
            payouts.c.paid_cents,
            given.label("given"),
            paid.label("paid"),
            returned.label("returned"),
        )
        .join_from(
            payouts,
            sums,
            and_(sums.c.batch_number == payouts.c.batch_number, sums.c.referrer_id == payouts.c.referrer_id),
            isouter=True,
        )
        .join(
            payout_reversals,
            and_(
                payout_reversals.c.batch_number == payouts.c.batch_number,
                payout_reversals.c.referrer_id == payouts.c.referrer_id,
            ),
            isouter=True,
        )
        .where(or_(payouts.c.paid_cents != paid, given != returned))
    )
