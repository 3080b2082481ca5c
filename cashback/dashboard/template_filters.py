"""Formats money, times and states for pages."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cashback.domain.money import dollars, grouped
from cashback.domain.reason_texts import counted_reasons, in_words
from cashback.domain.written_moments import parts_of

BATCH_ID: Final = re.compile(r"\b(BATCH-\d{8}-\d{6}(?:-\d+)?)\b")
MEMBER: Final = re.compile(r"\b(?:Member |discord:|dashboard:)(\d{1,19})\b")
OFF: Final = "off"
SECONDS_OF: Final = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}


def moment(value: datetime | None) -> str:
    """Format a time to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value is not None else "–"


def moment_text(value: str) -> str:
    """Format a stored time in ISO 8601; other texts are returned unchanged."""
    try:
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return value


def stamp(value: datetime) -> str:
    """Format a time for the `datetime` attribute of `<time>`."""
    return value.isoformat(timespec="seconds")


def count(value: int) -> str:
    """Format a count with separators."""
    return grouped(value)


def counted(value: int, one: str, many: str | None = None) -> str:
    """Format a count with its noun: "1 referral", "50 referrals"."""
    return f"{grouped(value)} {one if value == 1 else many or one + 's'}"


def state(value: str) -> str:
    """Format a stored state for people."""
    return str(value).replace("_", " ")


def span(value: timedelta) -> str:
    """Format a duration with its two largest units: "3 days 4 hours"."""
    left = max(int(value.total_seconds()), 0)
    parts = []
    for unit, seconds in SECONDS_OF.items():
        units, left = divmod(left, seconds)
        if units:
            parts.append(counted(units, unit))
    return " ".join(parts[:2]) or "now"


def ago(value: datetime, now: datetime) -> str:
    """Format how long ago a moment was."""
    return f"{span(now - value)} ago" if now - value >= timedelta(minutes=1) else "just now"


def rule(value: str) -> str:
    """Format a schedule's rule: "friday 15:00" is "Friday 15:00 UTC"."""
    return value if value == OFF else f"{value.capitalize()} UTC"


def by_batch_id(value: str) -> list[str]:
    """Split a text around the batch IDs in it: every second part is one."""
    return BATCH_ID.split(value)


def by_member(value: str) -> list[str]:
    """Split a text around the members in it: every second part is an id."""
    return MEMBER.split(value)


def by_moment(value: str) -> list[str | tuple[str, datetime]]:
    """Split a text around the moments in it; each is a pair of how it is written and when it is."""
    return parts_of(value)


def details(value: Mapping[str, Any]) -> str:
    """Format an audit entry's details as one line."""
    return ", ".join(f"{state(key)}: {_detail(key, each)}" for key, each in value.items() if each is not None)


def _detail(key: str, value: Any) -> str:  # noqa: ANN401 -- whatever JSON holds
    if isinstance(value, int) and not isinstance(value, bool) and key.endswith("_cents"):
        return dollars(value)
    return state(value) if isinstance(value, str) else str(value)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "dollars": dollars,
    "moment": moment,
    "stamp": stamp,
    "count": count,
    "counted": counted,
    "state": state,
    "span": span,
    "ago": ago,
    "details": details,
    "rule": rule,
    "by_batch_id": by_batch_id,
    "by_member": by_member,
    "by_moment": by_moment,
    "reason": in_words,
    "reasons": counted_reasons,
}
