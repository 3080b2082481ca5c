"""Lists for browsing: pages by key rather than offset; a page costs what it shows, not what is stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Select, case, func, select

from cashback.database.payouts import reversed_sums
from cashback.database.payouts.batches import payouts_with_reversed
from cashback.database.payouts.reversed_sums import NOTHING_REVERSED
from cashback.database.queries.history import BatchFilter, conditions
from cashback.database.referral_program.blacklist import is_blacklisted
from cashback.database.referral_program.pending import held_cents, is_pending, pending_cents
from cashback.database.tables import (
    payout_batches,
    payouts,
    referral_blacklist,
    referrals,
    reversals,
)
from cashback.domain.model import PayoutStatus, ReversalStatus

REVERSALS_SHOWN: Final = 50
EVERY_BATCH: Final = BatchFilter()
LOOKED_THROUGH: Final = 20_000
"""Payouts that one page scans for those in a state: a page that finds few returns the key to continue from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows of one page, and the key after which the next one begins; None if there is no next page."""

    rows: list[dict[str, Any]]
    next_after: int | None


class ReferrerFilter(StrEnum):
    """Which referrers to list."""

    PENDING = "pending"
    ALL = "all"
    BLACKLISTED = "blacklisted"


def payouts_page(
    connection: Connection, number: int, *, after_referrer_id: int, limit: int, status: PayoutStatus | None = None
) -> Page:
    """List a batch's payouts in key order, optionally those in one state."""
    of_batch = payouts_with_reversed().where(
        payouts.c.batch_number == number, payouts.c.referrer_id > after_referrer_id
    )
    in_order = of_batch.order_by(payouts.c.referrer_id)
    if status is None:
        return _page(connection, in_order, limit, key="referrer_id")
    looked_at = in_order.limit(LOOKED_THROUGH).subquery()
    found = _page(
        connection,
        select(looked_at).where(looked_at.c.status == status).order_by(looked_at.c.referrer_id),
        limit,
        key="referrer_id",
    )
    if found.next_after is not None:
        return found
    last = connection.scalars(in_order.with_only_columns(payouts.c.referrer_id).offset(LOOKED_THROUGH - 1).limit(1))
    return Page(rows=found.rows, next_after=last.one_or_none())


def largest_payouts(
    connection: Connection, number: int, *, page: int, limit: int, status: PayoutStatus | None = None
) -> Page:
    """List a page of a batch's payouts, largest first; the first page is 1. It sorts all of them."""
    query = payouts_with_reversed().where(payouts.c.batch_number == number)
    if status is not None:
        query = query.where(payouts.c.status == status)
    query = query.order_by(payouts.c.approved_cents.desc(), payouts.c.referrer_id).limit(limit + 1)
    rows = [dict(row) for row in connection.execute(query.offset((page - 1) * limit)).mappings()]
    return Page(rows=rows[:limit], next_after=page + 1 if len(rows) > limit else None)


def page_before(connection: Connection, number: int, *, after_referrer_id: int, limit: int) -> int:
    """Return the referrer after whom the page before the one following this referrer begins; 0 for the first page."""
    query = (
        select(payouts.c.referrer_id)
        .where(payouts.c.batch_number == number, payouts.c.referrer_id <= after_referrer_id)
        .order_by(payouts.c.referrer_id.desc())
        .offset(limit)
        .limit(1)
    )
    return connection.scalars(query).one_or_none() or 0


def payout_of(connection: Connection, number: int, referrer_id: int) -> list[dict[str, Any]]:
    """Find one referrer's payout in a batch: a list of one or zero rows."""
    query = payouts_with_reversed().where(payouts.c.batch_number == number, payouts.c.referrer_id == referrer_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def batches_page(connection: Connection, *, before: int | None, limit: int, wanted: BatchFilter = EVERY_BATCH) -> Page:
    """List batches, newest first, with their stored totals and the cents reversed of them."""
    query = select(payout_batches).where(*conditions(wanted)).order_by(payout_batches.c.number.desc())
    if before is not None:
        query = query.where(payout_batches.c.number < before)
    found = _page(connection, query, limit, key="number")
    sums = reversed_sums.by_batch(connection, [row["number"] for row in found.rows])
    for row in found.rows:
        row["reversed_cents"] = sums.get(row["number"], NOTHING_REVERSED).cents
    return found


def referrers_page(
    connection: Connection, now: datetime, *, which: ReferrerFilter, after_referrer_id: int, limit: int
) -> Page:
    """List referrers in the order of their ids, with their referrals' earnings and what was paid of them."""
    if which is ReferrerFilter.BLACKLISTED:
        query = select(
            referral_blacklist.c.user_id.label("referrer_id"),
            referral_blacklist.c.reason,
            referral_blacklist.c.blacklisted_by,
            referral_blacklist.c.blacklisted_at,
        ).where(referral_blacklist.c.user_id > after_referrer_id)
        return _page(connection, query.order_by(referral_blacklist.c.user_id), limit, key="referrer_id")
    summed = _summed(now).where(referrals.c.referrer_user_id > after_referrer_id)
    if which is ReferrerFilter.PENDING:
        # The filter chooses referrers; the sums cover all of their referrals, paid ones too.
        chosen = _with_pending(now, after_referrer_id=after_referrer_id, limit=limit + 1).subquery("chosen")
        summed = summed.where(referrals.c.referrer_user_id.in_(select(chosen)))
    # Limited before the blacklist is queried, so that it is queried for these rows only.
    cut = summed.order_by(referrals.c.referrer_user_id).limit(limit + 1).subquery("cut")
    query = select(cut, is_blacklisted(cut.c.referrer_id).label("is_blacklisted")).order_by(cut.c.referrer_id)
    return _page(connection, query, limit, key="referrer_id")


def _with_pending(now: datetime, *, after_referrer_id: int, limit: int) -> Select[int]:
    referrer_id = referrals.c.referrer_user_id
    query = select(referrer_id).where(is_pending(now), referrer_id > after_referrer_id)
    return query.distinct().order_by(referrer_id).limit(limit)


def _summed(now: datetime) -> Select[Any]:
    return select(
        referrals.c.referrer_user_id.label("referrer_id"),
        func.count().label("referral_count"),
        func.sum(referrals.c.referred_total_spend_cents).label("spend_cents"),
        func.sum(referrals.c.cashback_earned_cents).label("earned_cents"),
        func.sum(referrals.c.cashback_paid_cents).label("paid_cents"),
        func.sum(case((is_pending(now), pending_cents(now)), else_=0)).label("pending_cents"),
        func.sum(held_cents(now)).label("held_cents"),
    ).group_by(referrals.c.referrer_user_id)


def reversals_of(connection: Connection, number: int) -> list[dict[str, Any]]:
    """List the reversals of a batch that took something back, newest first."""
    query = select(reversals).where(reversals.c.batch_number == number, reversals.c.status == ReversalStatus.DONE)
    rows = connection.execute(query.order_by(reversals.c.number.desc()).limit(REVERSALS_SHOWN))
    return [dict(row) for row in rows.mappings()]


def _page(connection: Connection, query: Select[Any], limit: int, *, key: str) -> Page:
    """Read one row more than the page shows: it shows whether there is a next page."""
    rows = [dict(row) for row in connection.execute(query.limit(limit + 1)).mappings()]
    return Page(rows=rows[:limit], next_after=rows[limit - 1][key] if len(rows) > limit else None)
