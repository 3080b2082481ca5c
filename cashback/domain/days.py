"""Parsing of dates, in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

from cashback.domain.errors import CashbackError

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""A shop's clock may be this far ahead."""


def first_moment(day: str | None) -> datetime | None:
    """Parse a date as its first moment; None stays None. Raises CashbackError."""
    if day is None:
        return None
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise CashbackError(f"{day[:40]!r} is not a date; write it as 2026-07-03.") from error


def moment_after(day: str | None) -> datetime | None:
    """Parse a date as the first moment after it; None stays None. Raises CashbackError."""
    first = first_moment(day)
    try:
        return first + timedelta(days=1) if first else None
    except OverflowError as error:
        raise CashbackError(f"{day!r} is the last possible date; name an earlier one.") from error


def check_moment(moment: datetime, now: datetime, what: str) -> datetime:
    """Return a moment of the past if it can be one: from 1990 until now. Raises CashbackError."""
    if not EARLIEST <= moment <= now + CLOCKS_DIFFER:
        fault = "lies before 1990" if moment < EARLIEST else "lies in the future"
        raise CashbackError(f"{what} {moment:%Y-%m-%dT%H:%M:%SZ} {fault}")
    return moment
