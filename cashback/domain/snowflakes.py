"""Discord ids carry the moment of their creation; a number whose moment cannot be is not an account's id."""

from datetime import UTC, datetime, timedelta
from typing import Final

DISCORD_EPOCH: Final = datetime(2015, 1, 1, tzinfo=UTC)
FIRST_ACCOUNTS: Final = DISCORD_EPOCH + timedelta(days=28)
"""Accounts were created some weeks later than this at the earliest."""
CLOCKS_DIFFER: Final = timedelta(days=1)
_MOMENT_SHIFT: Final = 22
_MILLISECOND: Final = timedelta(milliseconds=1)


def id_at(moment: datetime) -> int:
    """Return the smallest id that can be created at a moment."""
    return ((moment - DISCORD_EPOCH) // _MILLISECOND) << _MOMENT_SHIFT


SMALLEST: Final = id_at(FIRST_ACCOUNTS)


def fault_of(user_id: int, now: datetime) -> str | None:
    """Return why a number cannot be the id of a Discord account; None if it can be."""
    if user_id < SMALLEST:
        return "is too small for the id of a Discord account"
    if user_id >= id_at(now + CLOCKS_DIFFER):
        return "would be the id of a Discord account that is created in the future"
    return None


def implausible(user_ids: set[int], now: datetime) -> set[int]:
    """Return those that cannot be ids of Discord accounts."""
    end = id_at(now + CLOCKS_DIFFER)
    return {user_id for user_id in user_ids if not SMALLEST <= user_id < end}
