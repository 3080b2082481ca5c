"""Linking members: by a code that a member enters once, or by an admin with a reason. Referral loops are refused."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, or_, select, update

from cashback.database import origins
from cashback.database.audit_log import add_entry
from cashback.database.referral_program.people import check_id
from cashback.database.referral_program.referrals import Lineage, closing, create_referral
from cashback.database.tables import payout_shares, referral_purchases, referrals
from cashback.domain.earning import ANY_TIME, EarningDates
from cashback.domain.errors import ReferralRefusedError

LINKED: Final = "referral_linked"
"""The audit log's action; `origins.UNLINKED` is the other one."""


def link(
    connection: Connection,
    referrer_id: int,
    referred_id: int,
    *,
    reason: str | None,
    actor: str,
    now: datetime,
    dates: EarningDates = ANY_TIME,
) -> int:
    """Link two members for an admin, also after an unlink; return the referral's id.

    Raises ReferralRefusedError like `create_referral`, and if the member's purchases belong to another referrer.
    """
    before = _find(connection, referred_id)
    if before is not None and before.cashback_unlinked_at is not None:
        referral_id = _link_again(connection, before, referrer_id)
    else:
        referral_id = create_referral(connection, referrer_id, referred_id, now, dates=dates)
    details = {"referrer_id": referrer_id, "referred_id": referred_id, "reason": reason}
    add_entry(connection, at=now, actor=actor, action=LINKED, details=details)
    return referral_id


def unlink(
    connection: Connection, referrer_id: int, referred_id: int, *, reason: str | None, actor: str, now: datetime
) -> None:
    """Unlink two members: later purchases earn nothing, earned cashback stays and is paid.

    If the member bought nothing, the referral is deleted, and the member may be linked to any referrer. Raises
    ReferralRefusedError if the two are not linked.
    """
    referral = _find(connection, referred_id)
    if referral is None or referral.referrer_user_id != referrer_id or referral.cashback_unlinked_at is not None:
        message = f"Member {referred_id} is not linked to Member {referrer_id}; nothing was changed."
        raise ReferralRefusedError(message)
    details = {"referrer_id": referrer_id, "referred_id": referred_id, "reason": reason}
    if _is_unused(connection, referral):
        if (digest := origins.removed_digest(connection, referral.id)) is not None:
            details["removed"] = digest
        connection.execute(delete(referrals).where(referrals.c.id == referral.id))
    else:
        connection.execute(update(referrals).where(referrals.c.id == referral.id).values(cashback_unlinked_at=now))
        details["referral"] = referral.id
    add_entry(connection, at=now, actor=actor, action=origins.UNLINKED, details=details)


def _find(connection: Connection, referred_id: int) -> Row[Any] | None:
    check_id(referred_id, "Referred member")
    return connection.execute(select(referrals).where(referrals.c.referred_user_id == referred_id)).one_or_none()


def _link_again(connection: Connection, before: Row[Any], referrer_id: int) -> int:
    if before.referrer_user_id != referrer_id:
        message = (
            f"Member {before.referred_user_id} bought under Member {before.referrer_user_id}, and that stays so:"
            f" link the two again, or leave the member unlinked."
        )
        raise ReferralRefusedError(message)
    if Lineage(connection, [referrer_id]).is_above(before.referred_user_id, referrer_id):
        raise ReferralRefusedError(closing(referrer_id, before.referred_user_id))
    connection.execute(update(referrals).where(referrals.c.id == before.id).values(cashback_unlinked_at=None))
    return int(before.id)


def _is_unused(connection: Connection, referral: Row[Any]) -> bool:
    """Return whether a referral has no purchase, no payout and no cashback, from this program or another bot."""
    sums = (
        referral.referred_total_spend_cents,
        referral.cashback_earned_cents,
        referral.cashback_paid_cents,
        referral.cashback_carry_ppm,
    )
    bought = exists().where(
        referral_purchases.c.referral_id == referral.id, referral_purchases.c.buyer_id == referral.referred_user_id
    )
    planned = exists().where(payout_shares.c.referral_id == referral.id)
    return not any(sums) and not connection.scalars(select(or_(bought, planned))).one()
