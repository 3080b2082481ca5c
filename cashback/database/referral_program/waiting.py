"""Purchases that were recorded before their buyer's referral: looked at again when it comes, and at each proposal.

So purchases and referrals may arrive in any order: what is earned depends on their dates alone.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, Text, exists, or_, select, update

from cashback.database.bulk import among, execute_many, is_among, rows_of
from cashback.database.referral_program.blacklist import blacklisted_among
from cashback.database.referral_program.caps import MonthlyCaps
from cashback.database.referral_program.pending import PPM
from cashback.database.referral_program.purchases import Added, add_to_referrals
from cashback.database.tables import is_waiting, referral_purchases, referrals
from cashback.domain.earning import ANY_TIME, EarningDates

_FOUND: Final = (
    select(
        referral_purchases.c.source,
        referral_purchases.c.order_id,
        referral_purchases.c.amount_cents,
        referral_purchases.c.refunded_cents,
        referral_purchases.c.rate_ppm,
        referral_purchases.c.purchased_at,
        referral_purchases.c.payable_at,
        referrals.c.id.label("referral_id"),
        referrals.c.referrer_user_id,
        referrals.c.cashback_carry_ppm,
        referrals.c.created_at,
    )
    .join_from(referral_purchases, referrals, referrals.c.referred_user_id == referral_purchases.c.buyer_id)
    .where(is_waiting, referrals.c.cashback_unlinked_at.is_(None))
    .order_by(referral_purchases.c.purchased_at, referral_purchases.c.order_id)
)

_COUNTED: Final = rows_of(shop=Text(), which=Text(), referral=BigInteger(), rate=Integer(), earned=BigInteger())
_COUNT: Final = (
    update(referral_purchases)
    .where(referral_purchases.c.source == _COUNTED.c.shop, referral_purchases.c.order_id == _COUNTED.c.which)
    .values(referral_id=_COUNTED.c.referral, rate_ppm=_COUNTED.c.rate, earned_cents=_COUNTED.c.earned)
)


def is_anything_waiting(connection: Connection) -> bool:
    """Return whether any purchase waits for its buyer's referral."""
    return bool(connection.scalar(select(exists().where(is_waiting))))


def buyer_waiting(connection: Connection, buyers: Sequence[int]) -> int | None:
    """Return one of these members who has a purchase that waits for a referral; None if none has."""
    query = select(referral_purchases.c.buyer_id).where(is_waiting, is_among(referral_purchases.c.buyer_id)).limit(1)
    return connection.scalar(query, among(buyers))


def count_waiting(
    connection: Connection,
    *,
    buyers: Sequence[int] | None = None,
    dates: EarningDates = ANY_TIME,
    is_later: bool = False,
) -> int:
    """Count the waiting purchases that their referral's date allows, of these buyers or of all; return the cents.

    With `is_later`, a purchase of the referral's own moment does not count: it was recorded before it.
    """
    query = _FOUND if buyers is None else _FOUND.where(is_among(referral_purchases.c.buyer_id))
    if not dates.earn_before_referral_days:
        bought, referred = referral_purchases.c.purchased_at, referrals.c.created_at
        query = query.where(or_(referred.is_(None), bought > referred if is_later else bought >= referred))
    rows: Sequence[Any] = connection.execute(query, {} if buyers is None else among(buyers)).all()
    found = [row for row in rows if dates.earns(row.purchased_at, row.created_at)]
    return _count(connection, found, dates) if found else 0


def _count(connection: Connection, found: Sequence[Any], dates: EarningDates) -> int:
    caps = MonthlyCaps(connection, dates.monthly_cap_cents)
    barred = blacklisted_among(connection, {row.referrer_user_id for row in found})
    added: dict[int, Added] = {}
    counted = []
    for row in found:
        is_earning = row.referrer_user_id not in barred and not dates.is_over(row.purchased_at, row.created_at)
        kept_cents = row.amount_cents - row.refunded_cents
        rate_ppm = row.rate_ppm if is_earning else 0
        rate_ppm = caps.limited(row.referrer_user_id, row.purchased_at, kept_cents, rate_ppm)
        to_add = added.setdefault(row.referral_id, Added(row.referral_id, row.cashback_carry_ppm))
        earned, to_add.carry = divmod(to_add.carry + kept_cents * rate_ppm, PPM)
        to_add.earned_cents += earned
        to_add.spend_cents += kept_cents
        if row.payable_at is not None and rate_ppm:
            to_add.held_until = max(row.payable_at, to_add.held_until or row.payable_at)
        counted.append((row.source, row.order_id, row.referral_id, rate_ppm, earned))
    execute_many(connection, _COUNT, ("shop", "which", "referral", "rate", "earned"), counted)
    add_to_referrals(connection, sorted(added.values(), key=lambda one: one.referral_id))
    return sum(map(itemgetter(4), counted))
