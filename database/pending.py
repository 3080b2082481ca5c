"""What is pending: payable now, and paid neither by a batch nor by another bot."""

from typing import Any

from sqlalchemy import Connection, Select, func, not_, select, update

from database.blacklist import blacklisted, is_blacklisted
from database.people import check_id
from database.tables import pending, referrals
from pipeline.errors import CashbackError

owed_cents = referrals.c.cashback_earned_cents - referrals.c.cashback_paid_cents


def pending_by_referrer() -> Select[tuple[int, int, int]]:
    """Select what is payable: referrer, cents and number of referrals, for each who has any and is not blacklisted."""
    owed = (
        select(
            referrals.c.referrer_user_id.label("referrer_id"),
            func.sum(owed_cents).label("pending_cents"),
            func.count().label("referral_count"),
        )
        .where(pending)
        .group_by(referrals.c.referrer_user_id)
        .subquery("owed")
    )
    return select(owed.c.referrer_id, owed.c.pending_cents, owed.c.referral_count).where(
        not_(is_blacklisted(owed.c.referrer_id))
    )


def all_pending(connection: Connection) -> list[dict[str, int]]:
    """List what each referrer would be paid now, largest first."""
    query = pending_by_referrer()
    amount, referrer = query.selected_columns.pending_cents, query.selected_columns.referrer_id
    return [dict(row) for row in connection.execute(query.order_by(amount.desc(), referrer)).mappings()]


def pending_totals(connection: Connection, *, min_payout_cents: int) -> tuple[int, int]:
    """Count who would be paid now, and the cents in all."""
    owed = pending_by_referrer().subquery()
    query = select(func.count(), func.coalesce(func.sum(owed.c.pending_cents), 0))
    users_count, cents = connection.execute(query.where(owed.c.pending_cents >= min_payout_cents)).one()
    return users_count, cents


def pending_for(connection: Connection, referrer_id: int) -> dict[str, Any]:
    """Tell what one referrer would be paid now, and from which referrals, oldest first."""
    check_id(referrer_id, "Referrer")
    if blacklisted(connection, referrer_id):
        return {"pending_cents": 0, "referral_count": 0, "is_blacklisted": True, "referral_details": []}
    rows = connection.execute(
        select(referrals.c.referred_user_id, owed_cents)
        .where(pending, referrals.c.referrer_user_id == referrer_id)
        .order_by(referrals.c.id)
    )
    details = [{"user_id": user_id, "amount_cents": amount_cents} for user_id, amount_cents in rows]
    return {
        "pending_cents": sum(detail["amount_cents"] for detail in details),
        "referral_count": len(details),
        "is_blacklisted": False,
        "referral_details": details,
    }


def mark_paid(connection: Connection, referrer_id: int, amount_cents: int) -> None:
    """Mark exactly this much as paid, oldest referral first. More than is pending raises and changes nothing."""
    owed = pending_for(connection, referrer_id)["pending_cents"]
    if amount_cents <= 0 or amount_cents > owed:
        message = f"{amount_cents} cents cannot be marked as paid to {referrer_id}: {owed} cents are pending."
        raise CashbackError(message)
    query = (
        select(referrals.c.id, owed_cents)
        .where(pending, referrals.c.referrer_user_id == referrer_id)
        .order_by(referrals.c.id)
    )
    left = amount_cents
    for referral_id, owed_here in connection.execute(query).all():
        share = min(left, owed_here)
        connection.execute(
            update(referrals)
            .where(referrals.c.id == referral_id)
            .values(
                cashback_paid_cents=referrals.c.cashback_paid_cents + share,
                cashback_paid_elsewhere_cents=referrals.c.cashback_paid_elsewhere_cents + share,
            )
        )
        left -= share
        if not left:
            return
