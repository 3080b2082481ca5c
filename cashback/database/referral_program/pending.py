"""Pending cashback: payable now, and not yet paid by a batch or another bot.

Every query takes the moment, because a purchase's cashback may be held for some days. Held cashback is derived from the
purchases and never stored, so no job has to release it, and if no purchase was ever held, the query skips it.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)

from cashback.database import origins
from cashback.database.audit_log import add_entry
from cashback.database.referral_program.blacklist import blacklisted, everyone_blacklisted
from cashback.database.referral_program.people import check_id
from cashback.database.referral_program.unusable_rows import is_usable
from cashback.database.tables import overpaid, referral_purchases, referrals, unpaid, users
from cashback.domain.errors import CashbackError

PPM: Final = 1_000_000
"""Rates are parts per million; what is earned below a cent is carried in millionths of one."""

Moment = datetime | BindParameter[datetime]
"""A moment, or the parameter of a statement that is built once."""

MOMENT: Final = bindparam("moment", type_=referrals.c.cashback_held_until.type)
"""The moment of statements that are built once: building one takes longer than a search by key."""


@lru_cache(maxsize=8)
def held_cents(now: Moment) -> ColumnElement[int]:
    """Build the expression for the cents of a referral's earnings that are not payable yet.

    It is exact: the earnings of purchases still held are subtracted from all earnings with their carry; whole cents of
    the rest are payable. A purchase's product fits 64 bits, a sum of products may not: cents and millionths are summed
    apart.
    """
    kept_cents = referral_purchases.c.amount_cents - referral_purchases.c.refunded_cents
    product = kept_cents * referral_purchases.c.rate_ppm
    cents, millionths = func.sum(product // PPM), func.sum(product % PPM)
    rounded_up = (func.coalesce(millionths, 0) + (PPM - 1) - referrals.c.cashback_carry_ppm) // PPM
    held = (
        select(func.coalesce(cents, 0) + rounded_up)
        .where(referral_purchases.c.referral_id == referrals.c.id, referral_purchases.c.payable_at > now)
        .correlate(referrals)
        .scalar_subquery()
    )
    return case((referrals.c.cashback_held_until > now, held), else_=0)


def pending_cents(now: Moment) -> ColumnElement[int]:
    """Build the expression for the cents still to be paid for a referral; negative if it owes after a refund."""
    return referrals.c.cashback_earned_cents - referrals.c.cashback_paid_cents - held_cents(now)


def owed_cents(now: Moment) -> ColumnElement[int]:
    """Express in SQL what a referral's referrer owes after refunds: never more than was paid and not given back."""
    beyond = -pending_cents(now)
    kept = referrals.c.cashback_paid_cents - referrals.c.cashback_forfeited_cents
    owed = case((beyond < kept, beyond), else_=kept)
    return case((owed > 0, owed), else_=0)


def is_pending(now: Moment) -> ColumnElement[bool]:
    """Build the condition that a referral has something pending; its first part is the condition of the index.

    Rows that nobody can be paid by have nothing pending (`unusable_rows.py`).

    If nothing was ever held, that condition decides, and the sum is not computed again.
    """
    return and_(unpaid, is_usable, or_(referrals.c.cashback_held_until.is_(None), pending_cents(now) > 0))


def pending_by_referrer(now: Moment, *, among: Select[int] | None = None) -> Select[int, int, int]:
    """Select payable amounts: referrer, cents and number of referrals, for each referrer not blacklisted.

    `among` selects the referrers to consider; the default is everyone.
    """
    wanted = [is_pending(now)]
    if among is not None:
        wanted.append(referrals.c.referrer_user_id.in_(among))
    owed = (
        select(
            referrals.c.referrer_user_id.label("referrer_id"),
            func.sum(pending_cents(now)).label("pending_cents"),
            func.count().label("referral_count"),
        )
        .where(*wanted)
        .group_by(referrals.c.referrer_user_id)
        .subquery("owed")
    )
    return select(owed.c.referrer_id, owed.c.pending_cents, owed.c.referral_count).where(
        owed.c.referrer_id.not_in(everyone_blacklisted())
    )


def all_pending(connection: Connection, now: datetime) -> list[dict[str, int]]:
    """List what each referrer would be paid now, largest first."""
    query = pending_by_referrer(now)
    amount, referrer = query.selected_columns.pending_cents, query.selected_columns.referrer_id
    return [dict(row) for row in connection.execute(query.order_by(amount.desc(), referrer)).mappings()]


def pending_of(connection: Connection, people: Sequence[int], now: datetime) -> list[dict[str, int]]:
    """List what each of these few referrers would be paid now, if anything."""
    found = connection.execute(_pending_of_some(), {"moment": now, "people": people})
    return [dict(row) for row in found.mappings()]


@cache
def _pending_of_some() -> Select[int, int, int]:
    some = select(users.c.discord_id).where(users.c.discord_id.in_(bindparam("people", expanding=True)))
    return pending_by_referrer(MOMENT, among=some)


def unpaid_referrers(connection: Connection, *, after_id: int, limit: int) -> list[int]:
    """List a page of the referrers with unpaid cashback, held or not, in the order of their ids."""
    referrer_id = referrals.c.referrer_user_id
    query = select(referrer_id).where(unpaid, referrer_id > after_id).distinct().order_by(referrer_id).limit(limit)
    return list(connection.scalars(query))


def pending_totals(connection: Connection, now: datetime, *, min_payout_cents: int) -> tuple[int, int]:
    """Count the referrers that would be paid now, and the total in cents."""
    owed = pending_by_referrer(now).subquery()
    query = select(func.count(), func.coalesce(func.sum(owed.c.pending_cents), 0))
    users_count, cents = connection.execute(query.where(owed.c.pending_cents >= min_payout_cents)).one()
    return users_count, cents


def pending_for(connection: Connection, referrer_id: int, now: datetime) -> dict[str, Any]:
    """Return what one referrer would be paid now, and from which referrals, oldest first."""
    check_id(referrer_id, "Referrer")
    if blacklisted(connection, referrer_id):
        return {"pending_cents": 0, "referral_count": 0, "is_blacklisted": True, "referral_details": []}
    owed = connection.execute(_owed_to_one(), {"referrer": referrer_id, "moment": now})
    details = [{"user_id": user_id, "amount_cents": amount_cents} for _, user_id, amount_cents in owed]
    return {
        "pending_cents": sum(detail["amount_cents"] for detail in details),
        "referral_count": len(details),
        "is_blacklisted": False,
        "referral_details": details,
    }


@cache
def _owed_to_one() -> Select[int, int, int]:
    """Select what one `referrer` is owed at a `moment`: referral, its member, cents.

    Cached because the bot often needs it.
    """
    return (
        select(referrals.c.id, referrals.c.referred_user_id, pending_cents(MOMENT))
        .where(is_pending(MOMENT), referrals.c.referrer_user_id == bindparam("referrer"))
        .order_by(referrals.c.id)
    )


def held_and_owed(connection: Connection, now: datetime, *, referrer_id: int | None = None) -> dict[str, int]:
    """Sum up the cents besides the pending ones, of everyone or of one referrer.

    `held_cents` become payable later; `owed_cents` were paid before a refund, and later earnings of the same referral
    are set off against them. For each referral paid + pending + held - owed is what it earned.
    """
    if referrer_id is None:
        found = connection.execute(_held_and_owed_by_everyone(), {"moment": now})
    else:
        found = connection.execute(
            _held_and_owed_by_one(), {"moment": now, "referrer": check_id(referrer_id, "Referrer")}
        )
    return dict(found.mappings().one())


def _held_and_owed() -> Select[int, int]:
    held, owed = (func.coalesce(func.sum(cents), 0) for cents in (held_cents(MOMENT), owed_cents(MOMENT)))
    return select(held.label("held_cents"), owed.label("owed_cents")).where(is_usable)


@cache
def _held_and_owed_by_one() -> Select[int, int]:
    return _held_and_owed().where(referrals.c.referrer_user_id == bindparam("referrer"))


@cache
def _held_and_owed_by_everyone() -> Select[int, int]:
    # Each half has an index of its own; all other referrals add zero to both.
    ids = select(referrals.c.id)
    either = ids.where(overpaid).union(ids.where(referrals.c.cashback_held_until > MOMENT))
    return _held_and_owed().where(referrals.c.id.in_(either))


def mark_paid(connection: Connection, referrer_id: int, amount_cents: int, now: datetime) -> None:
    """Mark exactly this much as paid, oldest referral first.

    If more is asked for than is pending, raise and change nothing.
    """
    owed = pending_for(connection, referrer_id, now)["pending_cents"]
    if amount_cents <= 0 or amount_cents > owed:
        message = f"{amount_cents} cents cannot be marked as paid to {referrer_id}: {owed} cents are pending."
        raise CashbackError(message)
    left, shares = amount_cents, {}
    for referral_id, _, owed_here in connection.execute(_owed_to_one(), {"referrer": referrer_id, "moment": now}).all():
        share = min(left, owed_here)
        connection.execute(
            update(referrals)
            .where(referrals.c.id == referral_id)
            .values(
                cashback_paid_cents=referrals.c.cashback_paid_cents + share,
                cashback_paid_elsewhere_cents=referrals.c.cashback_paid_elsewhere_cents + share,
            )
        )
        shares[str(referral_id)] = share
        left -= share
        if not left:
            break
    details = {"referrer_id": referrer_id, "cents": amount_cents, "shares": shares}
    add_entry(connection, at=now, actor="another bot", action=origins.PAID_ELSEWHERE, details=details)
