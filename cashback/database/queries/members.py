"""One member's account: pending cashback, payouts, and the reasons for payouts that were not made."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, exists, func, select

from cashback.database.payouts import reversed_sums
from cashback.database.payouts.absences import absence_of
from cashback.database.referral_program.blacklist import Blacklisting, blacklisting_of
from cashback.database.referral_program.pending import (
    MOMENT,
    held_and_owed,
    held_cents,
    pending_cents,
    pending_for,
)
from cashback.database.referral_program.people import check_id
from cashback.database.referral_program.referrals import referral_stats
from cashback.database.tables import (
    notification_preferences,
    payout_batches,
    payout_exclusions,
    payout_reversals,
    payouts,
    referral_purchases,
    referral_refunds,
    referrals,
    reversals,
    users,
    wallet_transactions,
)
from cashback.domain.model import Absence, BatchStatus, PayoutStatus

BATCHES_LOOKED_AT: Final = 20
"""The newest batches for which the reason of a missing payout is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAccount:
    """One member's cashback, with every fact that keeps some of it from being paid.

    For each referral paid + pending + held - owed is what it earned. `held_next_at` is when the first held cents become
    payable, `held_until` when all of them are. `reversed_cents` were paid into the wallet and returned by reversals. A
    blacklisted member has nothing pending.
    """

    user_id: int
    wallet_cents: int
    referral_count: int
    total_spend_cents: int
    total_earned_cents: int
    total_paid_cents: int
    reversed_cents: int
    pending_cents: int
    pending_count: int
    held_cents: int
    held_next_at: datetime | None
    held_until: datetime | None
    owed_cents: int
    blacklisting: Blacklisting | None
    absence: Absence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPayout:
    """The outcome of a batch for one member: credited cents, or none with the reason.

    `cents` were credited, or would have been. `status` is a payout's, or "left_out".
    """

    batch_id: str
    status: str
    cents: int
    reason: str | None
    at: datetime | None


LEFT_OUT: Final = "left_out"


_HELD_UNTIL: Final = (
    select(func.min(referral_purchases.c.payable_at), func.max(referral_purchases.c.payable_at))
    .join_from(referrals, referral_purchases, referral_purchases.c.referral_id == referrals.c.id)
    .where(
        referrals.c.referrer_user_id == bindparam("referrer"),
        referrals.c.cashback_held_until > MOMENT,
        referral_purchases.c.payable_at > MOMENT,
        referral_purchases.c.amount_cents > referral_purchases.c.refunded_cents,
    )
)
"""When the first held cents of one `referrer` become payable after a `moment`, and when all of them do."""


def standing(connection: Connection, user_id: int, now: datetime) -> MemberAccount:
    """Return a member's account; all zero for an unknown member."""
    check_id(user_id, "Member")
    wallet_cents = connection.scalars(
        select(users.c.wallet_balance_cents).where(users.c.discord_id == user_id)
    ).one_or_none()
    held_next_at, held_until = connection.execute(_HELD_UNTIL, {"referrer": user_id, "moment": now}).one()
    stats = referral_stats(connection, user_id, now)
    return MemberAccount(
        user_id=user_id,
        wallet_cents=wallet_cents or 0,
        reversed_cents=reversed_sums.of_member(connection, user_id),
        **stats,
        pending_count=pending_for(connection, user_id, now)["referral_count"],
        **held_and_owed(connection, now, referrer_id=user_id),
        held_next_at=held_next_at,
        held_until=held_until,
        blacklisting=blacklisting_of(connection, user_id),
        absence=absence_of(connection, user_id),
    )


def past_payouts(connection: Connection, user_id: int, *, limit: int) -> list[PastPayout]:
    """List the outcomes of batches for a member, newest first: all payouts, and unpaid ones of the newest batches."""
    credited = (
        select(
            payout_batches.c.number,
            payout_batches.c.batch_id,
            wallet_transactions.c.amount_cents,
            wallet_transactions.c.created_at,
        )
        .join_from(
            wallet_transactions,
            payout_batches,
            payout_batches.c.number == wallet_transactions.c.cashback_payout_batch_number,
        )
        .where(wallet_transactions.c.user_discord_id == user_id)
        .order_by(wallet_transactions.c.id.desc())
        .limit(limit)
    )
    found = {
        row.number: PastPayout(
            batch_id=row.batch_id,
            status=PayoutStatus.CREDITED,
            cents=row.amount_cents,
            reason=None,
            at=row.created_at,
        )
        for row in connection.execute(credited)
    }
    found.update(_not_paid(connection, user_id))
    return [found[number] for number in sorted(found, reverse=True)[:limit]]


_NOT_CREDITED: Final = select(payouts.c.status, payouts.c.approved_cents, payouts.c.reason, payouts.c.settled_at).where(
    payouts.c.batch_number == bindparam("number"),
    payouts.c.referrer_id == bindparam("member"),
    payouts.c.status != PayoutStatus.CREDITED,
)
_EXCLUDED: Final = select(payout_exclusions.c.pending_cents, payout_exclusions.c.reason).where(
    payout_exclusions.c.batch_number == bindparam("number"), payout_exclusions.c.referrer_id == bindparam("member")
)


def _not_paid(connection: Connection, user_id: int) -> dict[int, PastPayout]:
    """Find by key, in the newest approved batches, the payouts that paid this member nothing."""
    unapproved = (BatchStatus.PROPOSED, BatchStatus.CANCELLED, BatchStatus.EXPIRED)
    newest = (
        select(payout_batches.c.number, payout_batches.c.batch_id, payout_batches.c.approved_at)
        .where(payout_batches.c.status.not_in(unapproved))
        .order_by(payout_batches.c.number.desc())
        .limit(BATCHES_LOOKED_AT)
    )
    found = {}
    for batch in connection.execute(newest).all():
        key = {"number": batch.number, "member": user_id}
        payout, excluded = (connection.execute(query, key).one_or_none() for query in (_NOT_CREDITED, _EXCLUDED))
        if payout is not None:
            status, cents, reason, at = payout
        elif excluded is not None:
            (cents, reason), status, at = excluded, LEFT_OUT, batch.approved_at
        else:
            continue
        found[batch.number] = PastPayout(batch_id=batch.batch_id, status=status, cents=cents, reason=reason, at=at)
    return found


def taken_back(connection: Connection, user_id: int, *, limit: int) -> list[dict[str, Any]]:
    """List what refunds subtracted from a member's cashback, newest first: taken_cents and refunded_at."""
    query = (
        select(referral_refunds.c.taken_cents, referral_refunds.c.refunded_at)
        .join_from(referrals, referral_refunds, referral_refunds.c.referral_id == referrals.c.id)
        .where(referrals.c.referrer_user_id == user_id, referral_refunds.c.taken_cents > 0)
        .order_by(referral_refunds.c.refunded_at.desc())
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def reversed_payouts(connection: Connection, user_id: int, *, limit: int) -> list[dict[str, Any]]:
    """List the reversed payouts of a member, newest first: batch_id, taken_cents, reason, reversed_at.

    The credits of the wallet lead to them: they have an index, and the reversals by member have none.
    """
    credited_by = and_(
        payout_reversals.c.batch_number == wallet_transactions.c.cashback_payout_batch_number,
        payout_reversals.c.referrer_id == wallet_transactions.c.user_discord_id,
    )
    query = (
        select(
            payout_batches.c.batch_id,
            payout_reversals.c.amount_cents.label("taken_cents"),
            reversals.c.reason,
            reversals.c.finished_at.label("reversed_at"),
        )
        .join_from(wallet_transactions, payout_reversals, credited_by)
        .join(reversals, reversals.c.number == payout_reversals.c.reversal_number)
        .join(payout_batches, payout_batches.c.number == payout_reversals.c.batch_number)
        .where(wallet_transactions.c.user_discord_id == user_id)
        .order_by(payout_reversals.c.reversal_number.desc())
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def told_of_reversal(connection: Connection, reversal_number: int, *, limit: int) -> list[tuple[int, int]]:
    """List the members affected by a reversal, with the cents, largest first, except those that want no messages."""
    muted = notification_preferences.c.payout_dm == 0
    of_member = notification_preferences.c.user_id == payout_reversals.c.referrer_id
    query = (
        select(payout_reversals.c.referrer_id, payout_reversals.c.amount_cents)
        .join_from(reversals, payout_reversals, payout_reversals.c.batch_number == reversals.c.batch_number)
        .where(reversals.c.number == reversal_number, payout_reversals.c.reversal_number == reversal_number)
        .where(payout_reversals.c.amount_cents > 0, ~exists().where(of_member, muted))
        .order_by(payout_reversals.c.amount_cents.desc(), payout_reversals.c.referrer_id)
        .limit(limit)
    )
    return [(user_id, cents) for user_id, cents in connection.execute(query)]


def referrals_page(
    connection: Connection, user_id: int, now: datetime, *, limit: int, offset: int = 0
) -> list[dict[str, Any]]:
    """List a page of a member's referrals, oldest first.

    Each has referred_user_id, spend_cents, earned_cents, paid_cents, pending_cents (negative if it owes after a
    refund), held_cents, created_at and unlinked_at.
    """
    wanted = {"moment": now, "referrer": user_id, "most": limit, "first": offset}
    return [dict(row) for row in connection.execute(_referrals_of_one(), wanted).mappings()]


@cache
def _referrals_of_one() -> Select[Any]:
    return (
        select(
            referrals.c.referred_user_id,
            referrals.c.referred_total_spend_cents.label("spend_cents"),
            referrals.c.cashback_earned_cents.label("earned_cents"),
            referrals.c.cashback_paid_cents.label("paid_cents"),
            pending_cents(MOMENT).label("pending_cents"),
            held_cents(MOMENT).label("held_cents"),
            referrals.c.created_at,
            referrals.c.cashback_unlinked_at.label("unlinked_at"),
        )
        .where(referrals.c.referrer_user_id == bindparam("referrer"))
        .order_by(referrals.c.id)
        .limit(bindparam("most"))
        .offset(bindparam("first"))
    )
