"""The people of the ledger: valid ids, and a row with a wallet for each person."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from cashback.database.bulk import among, is_among
from cashback.database.dialect import insert_unless_there
from cashback.database.tables import is_waiting, referral_blacklist, referral_purchases, users
from cashback.domain.errors import CashbackError
from cashback.domain.snowflakes import fault_of, implausible

LARGEST_ID: Final = 2**63 - 1
BEFORE_ALL: Final = -(2**63)
"""Where a list of people by their ids begins; a ledger of before may have ids of zero and below in it."""


def check_id(user_id: int, what: str = "id") -> int:
    """Return a person's id if it is valid: a positive 63-bit integer."""
    if isinstance(user_id, bool) or not isinstance(user_id, int) or not 0 < user_id <= LARGEST_ID:
        message = f"{what} {user_id!r} is not a Discord id (a whole number from 1 to {LARGEST_ID})."
        raise CashbackError(message)
    return user_id


def ensure_users(connection: Connection, discord_ids: Iterable[int], now: datetime) -> None:
    """Ensure that each person has a row, with an empty wallet if it is new."""
    rows = [{"discord_id": person, "created_at": now, "updated_at": now} for person in dict.fromkeys(discord_ids)]
    if rows:
        connection.execute(insert_unless_there(connection, users), rows)


def known_among(connection: Connection, user_ids: Iterable[int]) -> set[int]:
    """Return those in the ledger: with a row, as buyers, or blacklisted."""
    found: set[int] = set()
    for column in (users.c.discord_id, referral_purchases.c.buyer_id, referral_blacklist.c.user_id):
        found.update(connection.scalars(select(column).where(is_among(column)), among(user_ids)))
    return found


def is_known(connection: Connection, user_id: int) -> bool:
    """Return whether the ledger has a row of a member, an order that waits for one, or has blacklisted it.

    It asks indexes only; `known_among` also finds buyers without a referrer, and may read all purchases.
    """
    waiting = select(referral_purchases.c.buyer_id).where(is_waiting, referral_purchases.c.buyer_id == user_id)
    return any(
        connection.execute(query.limit(1)).first() is not None
        for query in (
            select(users.c.discord_id).where(users.c.discord_id == user_id),
            select(referral_blacklist.c.user_id).where(referral_blacklist.c.user_id == user_id),
            waiting,
        )
    )


def strangers_among(connection: Connection, user_ids: Iterable[int], now: datetime) -> dict[int, str]:
    """Return those not in the ledger that cannot be Discord accounts, each with the reason."""
    doubtful = implausible(set(user_ids), now)
    known = known_among(connection, doubtful) if doubtful else set()
    return {user_id: str(fault_of(user_id, now)) for user_id in doubtful - known}
