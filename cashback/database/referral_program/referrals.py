"""Referrals, which are permanent, and their totals."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, exists, func, insert, select

from cashback.database.bulk import among, is_among
from cashback.database.referral_program.blacklist import blacklisted_among
from cashback.database.referral_program.pending import pending_for
from cashback.database.referral_program.people import check_id, ensure_users
from cashback.database.referral_program.waiting import count_waiting
from cashback.database.tables import (
    payout_batches,
    referral_blacklist,
    referral_purchases,
    referrals,
    users,
    wallet_transactions,
)
from cashback.domain.earning import ANY_TIME, EarningDates
from cashback.domain.errors import ReferralRefusedError
from cashback.domain.languages import tr


class Lineage:
    """The ancestors of some members: each member has at most one referrer, so that they form a line."""

    def __init__(self, connection: Connection, people: Iterable[int]) -> None:
        """Read the ancestors of these members, in one statement, up to the members without a referrer."""
        self._brought_by = {b: a for b, a in connection.execute(_lines(), among(people))}  # noqa: C416 -- dict() has no types here
        self._have_brought = set(self._brought_by.values())

    def add(self, referrer_id: int, referred_id: int) -> None:
        """Add a referral to the lines."""
        self._brought_by[referred_id] = referrer_id
        self._have_brought.add(referrer_id)

    def is_above(self, upper_id: int, member_id: int) -> bool:
        """Return whether a member is above another, at any distance.

        A member without referrals never is, without a query.
        """
        if upper_id not in self._have_brought:
            return False
        seen = set()
        above = self._brought_by.get(member_id)
        while above is not None and above not in seen:
            if above == upper_id:
                return True
            seen.add(above)
            above = self._brought_by.get(above)
        return False


@cache
def _lines() -> Select[int, int]:
    """Select all ancestors of the given members, each with its referrer. Cached."""
    columns = (referrals.c.referred_user_id, referrals.c.referrer_user_id)
    linked = select(*columns).where(referrals.c.cashback_unlinked_at.is_(None))
    above = linked.where(is_among(referrals.c.referred_user_id)).cte("above", recursive=True)
    # UNION, not UNION ALL: an adopted file may contain a loop, and the recursion must end.
    return select(above.union(linked.join_from(above, referrals, columns[0] == above.c.referrer_user_id)))


def closing(referrer_id: int, referred_id: int) -> str:
    """Return the refusal of a link that would close a referral loop."""
    return tr(
        "Member {referrer} was referred by Member {referred}, directly or through others; a referral loop is refused",
        referrer=referrer_id,
        referred=referred_id,
    )


def create_referrals(
    connection: Connection,
    pairs: Sequence[tuple[int, int]],
    now: datetime,
    *,
    referred_at: Sequence[datetime | None] | None = None,
    dates: EarningDates = ANY_TIME,
    intake_number: int | None = None,
) -> list[str | None]:
    """Record referrals as pairs (referrer, referred). Returns for each pair the reason of its refusal, or None.

    A member is referred once, permanently; a pair that already exists is refused, and so is one that closes a referral
    loop, also with those before it in the list. `referred_at` are the moments of the referrals; None is now. Purchases
    that these dates allow and that were recorded earlier are counted.
    """
    taken = set(
        connection.scalars(
            select(referrals.c.referred_user_id).where(is_among(referrals.c.referred_user_id)),
            among(b for _, b in pairs),
        )
    )
    referrers = {referrer for referrer, _ in pairs}
    blacklisted = blacklisted_among(connection, referrers)
    lineage = Lineage(connection, referrers)
    refusals: list[str | None] = []
    accepted: list[tuple[int, int]] = []
    rows = []
    dated: list[int] = []
    for number, (referrer, referred) in enumerate(pairs):
        if referrer == referred:
            refusals.append(tr("Users cannot refer themselves"))
        elif referred in taken:
            refusals.append(tr("This user has already been referred by someone"))
        elif lineage.is_above(referred, referrer):
            refusals.append(closing(referrer, referred))
        else:
            refusals.append(None)
            taken.add(referred)
            lineage.add(referrer, referred)
            accepted.append((referrer, referred))
            moment = referred_at[number] if referred_at is not None else None
            if moment is not None or dates.earn_before_referral_days:
                dated.append(referred)
            rows.append(
                {
                    "referrer_user_id": referrer,
                    "referred_user_id": referred,
                    "is_blacklisted": int(referrer in blacklisted),
                    "created_at": moment or now,
                    "cashback_intake_number": intake_number,
                }
            )
    if rows:
        ensure_users(connection, (person for pair in accepted for person in pair), now)
        connection.execute(insert(referrals), rows)
    if dated:
        # A purchase that is already recorded cannot be later than a referral of now.
        count_waiting(connection, buyers=dated, dates=dates)
    return refusals


def create_referral(
    connection: Connection, referrer_id: int, referred_id: int, now: datetime, *, dates: EarningDates = ANY_TIME
) -> int:
    """Record a referral, once and permanently; return its id.

    Raises ReferralRefusedError for oneself, a second time, and a referral loop.
    """
    check_id(referrer_id, "Referrer")
    check_id(referred_id, "Referred member")
    [refusal] = create_referrals(connection, [(referrer_id, referred_id)], now, dates=dates)
    if refusal:
        raise ReferralRefusedError(refusal)
    query = select(referrals.c.id).where(referrals.c.referred_user_id == referred_id)
    return int(connection.scalars(query).one())


def referral_stats(connection: Connection, referrer_id: int, now: datetime) -> dict[str, int]:
    """Sum up one referrer's referrals; a blacklisted referrer has nothing pending."""
    check_id(referrer_id, "Referrer")
    count, spend, earned, paid = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(referrals.c.referred_total_spend_cents), 0),
            func.coalesce(func.sum(referrals.c.cashback_earned_cents), 0),
            func.coalesce(func.sum(referrals.c.cashback_paid_cents), 0),
        ).where(referrals.c.referrer_user_id == referrer_id)
    ).one()
    return {
        "referral_count": count,
        "total_spend_cents": spend,
        "total_earned_cents": earned,
        "total_paid_cents": paid,
        "pending_cents": pending_for(connection, referrer_id, now)["pending_cents"],
    }


def referrer_of(connection: Connection, referred_id: int) -> int | None:
    """Return a member's referrer, None if the member was not referred or the two were unlinked."""
    return connection.scalars(
        select(referrals.c.referrer_user_id).where(
            referrals.c.referred_user_id == referred_id, referrals.c.cashback_unlinked_at.is_(None)
        )
    ).one_or_none()


def referrers_of(connection: Connection, referred_ids: Iterable[int]) -> dict[int, int]:
    """Return the referrers of these members; members without one are omitted."""
    rows = connection.execute(
        select(referrals.c.referred_user_id, referrals.c.referrer_user_id).where(
            is_among(referrals.c.referred_user_id)
        ),
        among(referred_ids),
    )
    return {row.referred_user_id: row.referrer_user_id for row in rows}


def is_empty(connection: Connection) -> bool:
    """Return whether the ledger holds no member, referral, purchase, batch or transaction of anybody."""
    filled = (users, referrals, referral_purchases, referral_blacklist, payout_batches, wallet_transactions)
    return not any(connection.scalar(select(exists().select_from(table))) for table in filled)


def referrals_of(connection: Connection, referrer_id: int) -> list[dict[str, Any]]:
    """List a referrer's referrals, oldest first, as stored."""
    query = select(referrals).where(referrals.c.referrer_user_id == referrer_id).order_by(referrals.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]
