"""Parsing of dates, in UTC."""

from datetime import UTC, datetime, timedelta

from cashback.domain.errors import CashbackError


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
