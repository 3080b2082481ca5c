"""Lists for browsing: pages by key rather than offset; a page costs what it shows, not what is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, case, func, select

from cashback.database.payouts import reversed_sums
from cashback.database.payouts.reversed_sums import NOTHING_REVERSED
from cashback.database.queries.history import BatchFilter, conditions
from cashback.database.referral_program.blacklist import is_blacklisted
from cashback.database.referral_program.pending import MOMENT, held_cents, is_pending, pending_cents
from cashback.database.tables import (
    payout_batches,
    referral_blacklist,
    referrals,
    reversals,
)
from cashback.domain.model import ReversalStatus

REVERSALS_SHOWN: Final = 50
EVERY_BATCH: Final = BatchFilter()
NO_VALUES: Final[Mapping[str, object]] = MappingProxyType({})


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
        listed: Select[Any] = select(
            referral_blacklist.c.user_id.label("referrer_id"),
            referral_blacklist.c.reason,
            referral_blacklist.c.blacklisted_by,
            referral_blacklist.c.blacklisted_at,
        ).where(referral_blacklist.c.user_id > after_referrer_id)
        return _page(connection, listed.order_by(referral_blacklist.c.user_id), limit, key="referrer_id")
    query = _with_sums(only_pending=which is ReferrerFilter.PENDING, limit=limit)
    return _page(connection, query, limit, key="referrer_id", values={"moment": now, "after": after_referrer_id})


@cache
def _with_sums(*, only_pending: bool, limit: int) -> Select[Any]:
    """Select referrers `after` an id with their sums at a `moment`. Cached: building it takes longer than searching."""
    summed = _summed().where(referrals.c.referrer_user_id > bindparam("after"))
    if only_pending:
        # The filter chooses referrers; the sums cover all of their referrals, paid ones too.
        chosen = _with_pending(limit=limit + 1).subquery("chosen")
        summed = summed.where(referrals.c.referrer_user_id.in_(select(chosen)))
    # Limited before the blacklist is queried, so that it is queried for these rows only.
    cut = summed.order_by(referrals.c.referrer_user_id).limit(limit + 1).subquery("cut")
    return select(cut, is_blacklisted(cut.c.referrer_id).label("is_blacklisted")).order_by(cut.c.referrer_id)


def _with_pending(*, limit: int) -> Select[int]:
    referrer_id = referrals.c.referrer_user_id
    query = select(referrer_id).where(is_pending(MOMENT), referrer_id > bindparam("after"))
    return query.distinct().order_by(referrer_id).limit(limit)


def _summed() -> Select[Any]:
    return select(
        referrals.c.referrer_user_id.label("referrer_id"),
        func.count().label("referral_count"),
        func.sum(referrals.c.referred_total_spend_cents).label("spend_cents"),
        func.sum(referrals.c.cashback_earned_cents).label("earned_cents"),
        func.sum(referrals.c.cashback_paid_cents).label("paid_cents"),
        func.sum(case((is_pending(MOMENT), pending_cents(MOMENT)), else_=0)).label("pending_cents"),
        func.sum(held_cents(MOMENT)).label("held_cents"),
    ).group_by(referrals.c.referrer_user_id)


def reversals_of(connection: Connection, number: int) -> list[dict[str, Any]]:
    """List the reversals of a batch that took something back, newest first."""
    query = select(reversals).where(reversals.c.batch_number == number, reversals.c.status == ReversalStatus.DONE)
    rows = connection.execute(query.order_by(reversals.c.number.desc()).limit(REVERSALS_SHOWN))
    return [dict(row) for row in rows.mappings()]


def _page(
    connection: Connection, query: Select[Any], limit: int, *, key: str, values: Mapping[str, object] = NO_VALUES
) -> Page:
    """Read one row more than the page shows: it shows whether there is a next page."""
    rows = [dict(row) for row in connection.execute(query.limit(limit + 1), values).mappings()]
    return Page(rows=rows[:limit], next_after=rows[limit - 1][key] if len(rows) > limit else None)
