"""The blacklist: members excluded by this program, or by the flag that an Apex Core bot sets on referrals."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    delete,
    exists,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from cashback.database.audit_log import add_entry
from cashback.database.bulk import among, is_among
from cashback.database.referral_program.people import check_id
from cashback.database.tables import is_flagged, referral_blacklist, referrals


@dataclass(frozen=True, slots=True, kw_only=True)
class Blacklisting:
    """Why, by whom (an actor) and since when a member is blacklisted, as far as known."""

    reason: str | None
    blacklisted_by: str | None
    blacklisted_at: datetime | None


def everyone_blacklisted() -> CompoundSelect[int]:
    """Select the ids of all blacklisted members.

    Queries over everyone use this once instead of `is_blacklisted` per row.
    """
    flagged = select(referrals.c.referrer_user_id).where(is_flagged)
    return flagged.union_all(select(referral_blacklist.c.user_id))


def is_blacklisted(referrer_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Build the condition that a referrer is blacklisted: by this program, or by an Apex Core bot's flag on a referral.

    One flagged referral blacklists its referrer, so that referrals made afterwards earn nothing either.
    """
    flagged = referrals.alias("flagged")
    return or_(
        exists()
        .where(flagged.c.referrer_user_id == referrer_id, flagged.c.is_blacklisted != literal_column("0"))
        .correlate_except(flagged),
        exists().where(referral_blacklist.c.user_id == referrer_id).correlate_except(referral_blacklist),
    )


_LISTS: Final = (select(referral_blacklist.c.user_id), select(referrals.c.referrer_user_id).where(is_flagged))
_LOOKS: Final = tuple((listed.limit(1), listed.where(is_among(listed.selected_columns[0]))) for listed in _LISTS)
"""Whether anyone is blacklisted, and which of the given members are: by this program, and by the flags."""


def blacklisted_among(connection: Connection, people: Collection[int]) -> set[int]:
    """Return which of these people are blacklisted."""
    found: set[int] = set()
    for anybody, these in _LOOKS:
        # Usually nobody is blacklisted, and this check costs less than a query about thousands of people.
        if connection.execute(anybody).one_or_none() is not None:
            found.update(connection.scalars(these, among(people)))
    return found


def blacklisted(connection: Connection, referrer_id: int) -> bool:
    """Return whether a referrer is blacklisted."""
    return bool(blacklisted_among(connection, [referrer_id]))


def blacklisting_of(connection: Connection, user_id: int) -> Blacklisting | None:
    """Return why, by whom and since when a member is blacklisted; None if the member is not.

    If another bot has set the flag, only the fact is known.
    """
    if not blacklisted(connection, user_id):
        return None
    row = connection.execute(select(referral_blacklist).where(referral_blacklist.c.user_id == user_id)).one_or_none()
    if row is None:
        return Blacklisting(reason=None, blacklisted_by=None, blacklisted_at=None)
    return Blacklisting(reason=row.reason, blacklisted_by=row.blacklisted_by, blacklisted_at=row.blacklisted_at)


def blacklist(connection: Connection, user_id: int, *, reason: str | None, actor: str, now: datetime) -> bool:
    """Blacklist a member, for present and future referrals; False if already blacklisted."""
    check_id(user_id)
    if blacklisted(connection, user_id):
        return False
    connection.execute(
        insert(referral_blacklist).values(user_id=user_id, reason=reason, blacklisted_by=actor, blacklisted_at=now)
    )
    connection.execute(update(referrals).where(referrals.c.referrer_user_id == user_id).values(is_blacklisted=1))
    add_entry(connection, at=now, actor=actor, action="blacklisted", details={"user_id": user_id, "reason": reason})
    return True


def unblacklist(
    connection: Connection, user_id: int, *, actor: str, now: datetime, since: datetime | None = None
) -> bool:
    """Let a member earn again; what was pending before is pending again.

    False if the member was not blacklisted, or is not blacklisted `since` that moment.
    """
    check_id(user_id)
    entry = blacklisting_of(connection, user_id)
    if entry is None or (since is not None and entry.blacklisted_at != since):
        return False
    connection.execute(delete(referral_blacklist).where(referral_blacklist.c.user_id == user_id))
    connection.execute(update(referrals).where(referrals.c.referrer_user_id == user_id).values(is_blacklisted=0))
    add_entry(connection, at=now, actor=actor, action="unblacklisted", details={"user_id": user_id})
    return True
