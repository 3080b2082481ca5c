"""Why a batch that was just planned is flagged, in words. It warns, and may ask for a second admin."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from cashback.database.payouts.plans import Plan
from cashback.database.tables import cashback_origin, payout_batches, payout_shares, payouts, referrals, users
from cashback.domain.model import BatchLimits, BatchMode, BatchStatus
from cashback.domain.money import dollars
from cashback.domain.snowflakes import id_at

BATCHES_COMPARED = 8
FEWEST_COMPARED = 3
"""The median of fewer batches means nothing."""

FEWEST_SHARING = 3
"""Of two, one always has half."""

FEWEST_TOGETHER = 2
MOST_NAMED = 3


def find(connection: Connection, number: int, plan: Plan, now: datetime, terms: BatchLimits) -> list[str]:
    """List why a planned batch is flagged, a sentence each."""
    found = [
        _larger_than_usual(connection, number, plan.cents, terms),
        _one_takes_most(connection, number, plan, terms),
        _new_accounts(connection, number, now, terms),
    ]
    return [sentence for sentence in found if sentence is not None] + _young_together(connection, number, now, terms)


def _larger_than_usual(connection: Connection, number: int, cents: int, terms: BatchLimits) -> str | None:
    if terms.unusual_factor is None:
        return None
    query = (
        select(payout_batches.c.credited_cents)
        .where(payout_batches.c.number < number, payout_batches.c.mode == BatchMode.BATCH)
        .where(payout_batches.c.selected_count.is_(None), payout_batches.c.credited_cents > 0)
        .where(payout_batches.c.status.in_([BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES]))
        .order_by(payout_batches.c.number.desc())
        .limit(BATCHES_COMPARED)
    )
    past = sorted(connection.scalars(query))
    if len(past) < FEWEST_COMPARED:
        return None
    twice_median = past[(len(past) - 1) // 2] + past[len(past) // 2]
    if 2 * cents <= terms.unusual_factor * twice_median:
        return None
    return (
        f"The total of {dollars(cents)} is more than {terms.unusual_factor} times the median of the last"
        f" {len(past)} batches, {dollars(twice_median // 2)}."
    )


def _one_takes_most(connection: Connection, number: int, plan: Plan, terms: BatchLimits) -> str | None:
    share = terms.unusual_share_percent
    if share is None or plan.count < FEWEST_SHARING or 100 * plan.largest_cents <= share * plan.cents:
        return None
    largest = connection.scalars(
        select(payouts.c.referrer_id)
        .where(payouts.c.batch_number == number, payouts.c.approved_cents == plan.largest_cents)
        .order_by(payouts.c.referrer_id)
        .limit(1)
    ).one()
    return (
        f"Member {largest} takes {100 * plan.largest_cents // plan.cents}% of it, {dollars(plan.largest_cents)};"
        f" more than {share}% is flagged."
    )


def _new_accounts(connection: Connection, number: int, now: datetime, terms: BatchLimits) -> str | None:
    since = now - timedelta(days=terms.new_account_days)
    started_at = connection.scalars(select(cashback_origin.c.started_at)).one()
    if terms.new_account_cents is None or started_at > since:
        # In a ledger that is younger than that, everybody is new.
        return None
    count, cents = connection.execute(
        select(func.count(), func.coalesce(func.sum(payouts.c.approved_cents), 0))
        .join_from(payouts, users, users.c.discord_id == payouts.c.referrer_id)
        .where(payouts.c.batch_number == number, users.c.created_at > since)
    ).one()
    if cents < terms.new_account_cents:
        return None
    accounts = "1 account takes" if count == 1 else f"{count:,} accounts take"
    known = f"known here for less than {terms.new_account_days} days"
    return f"{accounts} {dollars(cents)} of it and {'is' if count == 1 else 'are'} {known}."


def _young_together(connection: Connection, number: int, now: datetime, terms: BatchLimits) -> list[str]:
    """Name the referrers for whom several accounts earn that Discord created less than `new_account_days` ago."""
    if terms.new_account_cents is None:
        return []
    since, until = id_at(now - timedelta(days=terms.new_account_days)), id_at(now)
    count, cents = func.count().label("count"), func.sum(payout_shares.c.payable_cents).label("cents")
    query = (
        select(payout_shares.c.referrer_id, count, cents)
        .join_from(payout_shares, referrals, referrals.c.id == payout_shares.c.referral_id)
        .where(payout_shares.c.batch_number == number, payout_shares.c.payable_cents > 0)
        .where(referrals.c.referred_user_id.between(since, until))
        .group_by(payout_shares.c.referrer_id)
        .having(func.count() >= FEWEST_TOGETHER)
        .order_by(cents.desc(), payout_shares.c.referrer_id)
        .limit(MOST_NAMED)
    )
    return [
        f"{row.count} accounts younger than {terms.new_account_days} days earn {dollars(row.cents)} together for Member"
        f" {row.referrer_id}."
        for row in connection.execute(query)
    ]
