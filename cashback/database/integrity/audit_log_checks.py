"""Reconciliation's second half: the batches match the audit log, the earnings match the purchases."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Label,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)

from cashback.database.audit_log import BATCH_APPROVED, BATCH_FINISHED
from cashback.database.integrity.agreement import agreement, unless_they_agree
from cashback.database.integrity.checks import THE_BATCH, finds
from cashback.database.payouts import fingerprints
from cashback.database.referral_program.pending import PPM
from cashback.database.tables import (
    audit_log,
    payout_batches,
    referral_purchases,
    referrals,
    users,
    wallet_transactions,
)
from cashback.domain.model import BatchStatus

FINISHED: Final = (BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES, BatchStatus.LAPSED)


def wrong_batches(connection: Connection, number: int | None = None) -> Iterator[str]:
    """Find batches with another approval or result than in the audit log.

    Checks all batches, or only one.
    """
    approved, finished = _told(connection, BATCH_APPROVED, number), _told(connection, BATCH_FINISHED, number)
    for row in connection.execute(_approved(of_batch=number is not None), {"number": number}).all():
        plan, result = fingerprints.of_batch(connection, row.number, fingerprints.PLAN, fingerprints.RESULT)
        stored = (row.batch_id, row.approved_by, row.planned_count, row.planned_cents, plan)
        entry = _told_of(approved, row.number, ("batch_id", "actor", "users", "total_cents", "payouts"))
        if stored != entry:
            yield f"batch {row.number} is stored as approved as {stored}, the audit log has {entry}"
        if row.status not in FINISHED:
            continue
        totals = (row.batch_id, row.credited_count, row.credited_cents, row.failed_count, row.skipped_count)
        entry = _told_of(finished, row.number, ("batch_id", "users_paid", "total_cents", "failed", "skipped"))
        if totals != entry:
            yield f"batch {row.number} stores the result {totals}, the audit log has {entry}"
            continue
        if (result,) != _told_of(finished, row.number, ("payouts",)):
            yield f"batch {row.number}: its payouts have another fingerprint than when it was finished"


@cache
def _approved(*, of_batch: bool) -> Select[Any]:
    query = select(payout_batches).where(payout_batches.c.batch_id.is_not(None)).order_by(payout_batches.c.number)
    return query.where(payout_batches.c.number == THE_BATCH) if of_batch else query


def _told(connection: Connection, action: str, number: int | None) -> dict[int, dict[str, Any]]:
    """Read the last audit entry of this kind about each batch, or about one: its details, and its actor."""
    entries = connection.execute(_entries(of_batch=number is not None), {"action": action, "number": number})
    return {row.batch_number: {**json.loads(row.details), "actor": row.actor} for row in entries}


@cache
def _entries(*, of_batch: bool) -> Select[Any]:
    query = select(audit_log).where(audit_log.c.action == bindparam("action")).order_by(audit_log.c.id)
    return query.where(audit_log.c.batch_number == THE_BATCH) if of_batch else query


def _told_of(entries: dict[int, dict[str, Any]], number: int, names: tuple[str, ...]) -> tuple[Any, ...]:
    entry = entries.get(number, {})
    return tuple(entry.get(name) for name in names)


@finds("transaction {id} moves money of {user_discord_id} without a wallet")
def missing_wallets() -> Select[Any]:
    """Find transactions of owners without a row."""
    moves = wallet_transactions.c
    return select(moves.id, moves.user_discord_id).where(
        not_(exists().where(users.c.discord_id == moves.user_discord_id))
    )


_PER_CENT: Final = literal_column(str(PPM), BigInteger)
"""With an explicit type, the division is the database's own; without, it goes through a function for floats."""


def _made() -> tuple[Label[int], ...]:
    """Return the columns of what a purchase makes, spending, whole cents, and millionths of a cent.

    Cents and millionths are apart: the product of a large purchase and its rate nearly fills 63 bits.
    """
    kept = referral_purchases.c.amount_cents - referral_purchases.c.refunded_cents
    product = kept * referral_purchases.c.rate_ppm
    return kept.label("spend"), (product // _PER_CENT).label("cents"), (product % _PER_CENT).label("millionths")


def _explained() -> Select[bool, bool]:
    """Ask whether the purchases of each referral make what it spent and earned.

    Without a condition, the purchases are sorted: in the order of their index, each would be looked up.
    """
    referral = referrals.c
    of_referral = referral_purchases.c.referral_id
    summed = (func.sum(each).label(each.name) for each in _made())
    sums = select(of_referral, *summed).group_by(of_referral).subquery("sums")
    amount = or_(
        referral.referred_total_spend_cents != 0, referral.cashback_earned_cents != 0, referral.cashback_carry_ppm != 0
    )
    equal = and_(
        referral.referred_total_spend_cents == sums.c.spend,
        referral.cashback_earned_cents == sums.c.cents + sums.c.millionths // _PER_CENT,
        referral.cashback_carry_ppm == sums.c.millionths % _PER_CENT,
    )
    return agreement(sums, referrals, same=referral.id == sums.c.referral_id, equal=equal, amount=amount)


@unless_they_agree(_explained)
@finds("referral {id} spent {spent} and earned {earned} cents, its purchases make {made_spend} and {made_cents}")
def unexplained_earnings() -> Select[Any]:
    """Find referrals with other spending or earnings than their purchases make, to the millionth.

    The referrals' values, negated, and the purchases' values form one list, which is grouped once: correct ones sum to
    zero.
    """
    referral, bought = referrals.c, referral_purchases.c
    stands = select(
        referral.id.label("id"),
        (-referral.referred_total_spend_cents).label("spend"),
        (-referral.cashback_earned_cents).label("cents"),
        (-referral.cashback_carry_ppm).label("millionths"),
    )
    made = select(bought.referral_id, *_made())
    each = union_all(stands, made.where(bought.referral_id.is_not(None))).subquery("each").c
    spend, cents, millionths = func.sum(each.spend), func.sum(each.cents), func.sum(each.millionths)
    wrong = (
        select(each.id, spend.label("spend"), (cents + millionths // _PER_CENT).label("cents"))
        .group_by(each.id)
        .having(or_(spend != 0, cents + millionths // _PER_CENT != 0, millionths % _PER_CENT != 0))
        .subquery("wrong")
    )
    spent, earned = referral.referred_total_spend_cents, referral.cashback_earned_cents
    return select(
        wrong.c.id,
        spent.label("spent"),
        earned.label("earned"),
        (spent + wrong.c.spend).label("made_spend"),
        (earned + wrong.c.cents).label("made_cents"),
    ).join_from(wrong, referrals, referral.id == wrong.c.id, isouter=True)
