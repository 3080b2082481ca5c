"""Moments as shops write them. One rule for all: from 1990 until now."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from cashback.domain.days import check_moment
from cashback.domain.errors import CashbackError
from cashback.shops.answers import Answers, UnansweredError

VALUE_SHOWN: Final = 40
LAST_YEAR: Final = 9998
"""A later moment may be past the calendar's end in another zone."""
DAY_FIRST: Final = "dmy"
MONTH_FIRST: Final = "mdy"

Read = Callable[[str], datetime | None]
"""Reads one moment; None for an empty text. Raises CashbackError."""

_EPOCH: Final = re.compile(r"[0-9]{9,16}")
_SLASHED: Final = re.compile(
    r"(?P<first>[0-9]{1,2})[/.\-](?P<second>[0-9]{1,2})[/.\-](?P<year>[0-9]{4}|[0-9]{2})"
    r"(?:[ ,T]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<seconds>[0-9]{2}))?(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
    r"(?: (?P<zone>.+))?"
)
_OFFSET: Final = re.compile(r"(?:GMT|UTC)?([+-])([0-9]{2}):?([0-9]{2})")
HOURS_OF_ZONES: Final = {
    **dict.fromkeys(("utc", "gmt", "z", "wet"), 0.0),
    **dict.fromkeys(("bst", "cet", "west"), 1.0),
    **dict.fromkeys(("cest", "eet", "sast"), 2.0),
    **dict.fromkeys(("eest", "msk"), 3.0),
    **dict.fromkeys(("hkt", "sgt", "awst"), 8.0),
    **dict.fromkeys(("jst", "kst"), 9.0),
    **dict.fromkeys(("aest",), 10.0),
    **dict.fromkeys(("aedt",), 11.0),
    **dict.fromkeys(("nzst",), 12.0),
    **dict.fromkeys(("nzdt",), 13.0),
    **dict.fromkeys(("brt", "adt"), -3.0),
    **dict.fromkeys(("edt", "ast"), -4.0),
    **dict.fromkeys(("est", "cdt"), -5.0),
    **dict.fromkeys(("cst", "mdt"), -6.0),
    **dict.fromkeys(("mst", "pdt"), -7.0),
    **dict.fromkeys(("pst", "akdt"), -8.0),
    **dict.fromkeys(("akst", "hdt"), -9.0),
    "hst": -10.0,
}


def read_iso(text: str, now: datetime, what: str = "purchased_at") -> datetime | None:
    """Read an ISO date or datetime; one without a zone is UTC, an empty one is None. Raises CashbackError."""
    stripped = text.strip()
    if not stripped:
        return None
    if _EPOCH.fullmatch(stripped):
        raise CashbackError(
            f"{what} {stripped!r} is a number of {'milliseconds' if len(stripped) > 11 else 'seconds'} since 1970;"  # noqa: PLR2004 -- digits of an epoch
            " write it as 2025-01-31T15:00:00Z"
        )
    try:
        moment = datetime.fromisoformat(_in_iso(stripped))
        if moment.year > LAST_YEAR:
            raise ValueError  # noqa: TRY301 -- the same refusal
        in_utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CashbackError(
            f"{what} {text[:VALUE_SHOWN]!r} is not an ISO date or datetime, for example 2025-01-31T15:00:00Z"
        ) from error
    return check_moment(in_utc, now, what)


def _in_iso(text: str) -> str:
    """Return "2025-01-31 15:00:00 -0500" and "… PST", as shops write them, in a form that Python reads."""
    head, _, zone = text.rpartition(" ")
    hours = HOURS_OF_ZONES.get(zone.lower())
    if head and hours is not None:
        return f"{head}{hours:+03.0f}:00"
    return f"{head}{zone}" if head and _OFFSET.fullmatch(zone) else text


def reader_of(moments: Iterable[str], now: datetime, answers: Answers, name: str, *, order: str | None = None) -> Read:
    """Return what reads a file's moments: ISO, or day, month and year with slashes or dots.

    `order` is the shop's own order; without one the file's dates decide. Raises UnansweredError if all of them could
    be read both ways.
    """
    order = order or answers.day_order or _order_in(moments, name)

    def read(text: str) -> datetime | None:
        found = _SLASHED.fullmatch(text.strip())
        if found is None:
            return read_iso(text, now, "date")
        return check_moment(_slashed(found, order or DAY_FIRST, text), now, "date")

    return read


def _order_in(moments: Iterable[str], name: str) -> str | None:
    """Return the order of day and month that a number above twelve shows, None if no date is written so."""
    doubtful = None
    for text in moments:
        found = _SLASHED.fullmatch(text.strip())
        if found is None:
            continue
        if int(found["first"]) > 12:  # noqa: PLR2004 -- months
            return DAY_FIRST
        if int(found["second"]) > 12:  # noqa: PLR2004 -- months
            return MONTH_FIRST
        if found["first"] != found["second"]:
            doubtful = doubtful or text
    if doubtful is None:
        return None
    raise UnansweredError(
        f"{name}: the date {doubtful!r} can be read two ways; say --day-order dmy or --day-order mdy.",
        option="day_order",
        question=f"Which comes first in the dates of {name} (such as {doubtful!r}): day (dmy) or month (mdy)?",
        choices=(DAY_FIRST, MONTH_FIRST),
    )


def _slashed(found: re.Match[str], order: str, text: str) -> datetime:
    day, month = (found["first"], found["second"]) if order == DAY_FIRST else (found["second"], found["first"])
    year = int(found["year"]) + (2000 if len(found["year"]) == 2 else 0)  # noqa: PLR2004 -- digits of a year
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].lower() == "p" else 0)
    try:
        local = datetime(
            year, int(month), int(day), hour, int(found["minute"] or 0), int(found["seconds"] or 0), tzinfo=UTC
        )
    except ValueError as error:
        raise CashbackError(f"date {text[:VALUE_SHOWN]!r} does not exist ({error})") from error
    return local - _offset(found["zone"] or "utc")


def _offset(zone: str) -> timedelta:
    hours = HOURS_OF_ZONES.get(zone.strip().lower())
    if hours is not None:
        return timedelta(hours=hours)
    found = _OFFSET.fullmatch(zone.strip())
    if found is None:
        raise CashbackError(f"the time zone {zone[:VALUE_SHOWN]!r} is not known")
    shift = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -shift if found[1] == "-" else shift
