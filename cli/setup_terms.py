"""The setup's questions about the terms: the percentage, the holding period, the minimum payout, the weekly batch."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cashback.domain.errors import CashbackError
from cashback.domain.money import dollars, parse_typed_dollars
from cashback.domain.ports import utc_now
from cashback.settings import ReferralSettings, SettingsError, checked_term
from cli.output import say
from cli.setup_questions import Questions

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NO_DAY: Final = "never"
SUGGESTED_HOLDING_DAYS: Final = 14
EXAMPLE_CENTS: Final = 2_000
TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
LOCALTIME: Final = Path("/etc/localtime")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTerms:
    """The terms that were given as options."""

    percent: str | None = None
    holding_days: str | None = None
    minimum: str | None = None
    timezone: str | None = None
    weekday: str | None = None
    time: str | None = None


def ask_terms(questions: Questions, given: GivenTerms, now: ReferralSettings, *, is_first: bool) -> dict[str, Any]:
    """Ask for the terms; return them as settings. At the first setup the holding period is suggested."""
    say("", "Terms. 5 means that a $20.00 order earns its buyer's referrer $1.00.")
    percent = questions.value(
        "Cashback in percent",
        f"{now.cashback_percent.normalize():f}",
        _percent,
        option="--percent",
        given=given.percent,
    )
    say(f"  A {dollars(EXAMPLE_CENTS)} order earns {_earned(percent)}.")
    held = SUGGESTED_HOLDING_DAYS if is_first else now.holding_days
    holding_days = questions.value(
        "Holding period in days: cashback is payable after it, so that refunds come first",
        str(held),
        _whole("holding_days"),
        option="--holding-days",
        given=given.holding_days,
    )
    minimum = questions.value(
        "Minimum payout", dollars(now.min_payout_cents), _minimum, option="--minimum", given=given.minimum
    )
    return {
        "cashback_percent": percent,
        "holding_days": holding_days,
        "min_payout_cents": minimum,
        **_ask_schedule(questions, given, now),
    }


def _ask_schedule(questions: Questions, given: GivenTerms, now: ReferralSettings) -> Mapping[str, Any]:
    zone = questions.value("Your time zone", _own_zone(), _zone, option="--timezone", given=given.timezone)
    moment = _next_slot(now).astimezone(zone)
    suggestion = WEEKDAYS[moment.weekday()] if now.auto_batch_enabled else NO_DAY
    day = questions.value(
        f"Weekday of the weekly batch, or {NO_DAY}", suggestion, _weekday, option="--weekday", given=given.weekday
    )
    if day == NO_DAY:
        return {"auto_batch_enabled": False}
    hour, minute = questions.value("Time of day", f"{moment:%H:%M}", _time, option="--time", given=given.time)
    local = utc_now().astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0)
    local += timedelta(days=(WEEKDAYS.index(day) - local.weekday()) % 7)
    slot = local.astimezone(ZoneInfo("UTC"))
    return {
        "auto_batch_enabled": True,
        "batch_day": WEEKDAYS[slot.weekday()],
        "batch_hour_utc": slot.hour,
        "batch_minute_utc": slot.minute,
    }


def _next_slot(now: ReferralSettings) -> datetime:
    """Return a moment of the configured weekly batch."""
    moment = utc_now().replace(hour=now.batch_hour_utc, minute=now.batch_minute_utc, second=0, microsecond=0)
    return moment + timedelta(days=(WEEKDAYS.index(now.batch_day) - moment.weekday()) % 7)


def _earned(percent: Decimal) -> str:
    """Return what the example earns; below a cent, the carry."""
    earned = percent * EXAMPLE_CENTS / 100
    whole = int(earned)
    return dollars(whole) if earned == whole else f"{dollars(whole)} and a fraction of a cent, which is carried"


def _checked(key: str, value: object) -> Any:  # noqa: ANN401 -- whatever the setting is
    try:
        return checked_term(key, value)
    except SettingsError as error:
        raise CashbackError(str(error)) from error


def _percent(text: str) -> Decimal:
    try:
        value = Decimal(text.strip().removesuffix("%").strip())
    except InvalidOperation as error:
        raise CashbackError(f"{text!r} is not a number; 5 means 5 %.") from error
    percent: Decimal = _checked("cashback_percent", value)
    return percent


def _whole(key: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        cleaned = text.strip()
        if not (cleaned.isascii() and cleaned.isdigit()):
            raise CashbackError(f"{text!r} is not {ReferralSettings.model_fields[key].description}.")
        found: int = _checked(key, int(cleaned))
        return found

    return read


def _minimum(text: str) -> int:
    cents: int = _checked("min_payout_cents", parse_typed_dollars(text))
    return cents


def _weekday(text: str) -> str:
    wanted = text.strip().lower()
    found = [day for day in (*WEEKDAYS, NO_DAY) if wanted and day.startswith(wanted)]
    if len(found) != 1:
        raise CashbackError(f"{text!r} is not one of {', '.join((*WEEKDAYS, NO_DAY))}.")
    return found[0]


def _time(text: str) -> tuple[int, int]:
    found = TIME.fullmatch(text.strip())
    if found is None:
        raise CashbackError(f"{text!r} is not a time of day such as 15:00.")
    return int(found[1]), int(found[2])


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CashbackError(f"{text!r} is not a time zone such as Europe/Berlin or UTC.") from error


def _own_zone() -> str:
    """Return the name of this machine's time zone, UTC if it has none."""
    names = [os.environ.get("TZ", ""), str(LOCALTIME.resolve()).partition("zoneinfo/")[2]]
    for name in filter(None, names):
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"
