"""The terms as people type them, for `cashback setup` and `sendref-cashb setup` alike: each function reads one answer.

Each raises CashbackError for an answer that is not valid, with the valid values.
"""

import re
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cashback.domain.errors import CashbackError
from cashback.domain.money import is_currency, parse_typed_dollars
from cashback.domain.ports import utc_now
from cashback.settings import ReferralSettings, SettingsError, checked_term

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NO_DAY: Final = "never"
TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def read_percent(text: str) -> Decimal:
    """Return the percentage: 5 means 5 %."""
    try:
        value = Decimal(text.strip().removesuffix("%").strip())
    except InvalidOperation as error:
        raise CashbackError(f"{text!r} is not a number; 5 means 5 %.") from error
    percent: Decimal = _checked("cashback_percent", value)
    return percent


def read_holding_days(text: str) -> int:
    """Return the holding period in days."""
    cleaned = text.strip()
    if not (cleaned.isascii() and cleaned.isdigit()):
        raise CashbackError(f"{text!r} is not {ReferralSettings.model_fields['holding_days'].description}.")
    days: int = _checked("holding_days", int(cleaned))
    return days


def read_minimum(text: str) -> int:
    """Return the minimum payout in cents."""
    cents: int = _checked("min_payout_cents", parse_typed_dollars(text))
    return cents


def read_currency(text: str) -> str:
    """Return the code of a currency."""
    code = text.strip().upper()
    if not is_currency(code):
        raise CashbackError(f"{text!r} is not the code of a currency, such as USD, EUR or JPY.")
    return code


def read_weekday(text: str) -> str:
    """Return the weekday, or NO_DAY. Its first letters are enough."""
    wanted = text.strip().lower()
    found = [day for day in (*WEEKDAYS, NO_DAY) if wanted and day.startswith(wanted)]
    if len(found) != 1:
        raise CashbackError(f"{text!r} is not one of {', '.join((*WEEKDAYS, NO_DAY))}.")
    return found[0]


def read_time(text: str) -> tuple[int, int]:
    """Return hour and minute."""
    found = TIME.fullmatch(text.strip())
    if found is None:
        raise CashbackError(f"{text!r} is not a time of day such as 15:00.")
    return int(found[1]), int(found[2])


def read_zone(text: str) -> ZoneInfo:
    """Return the time zone."""
    try:
        return ZoneInfo(text.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CashbackError(f"{text!r} is not a time zone such as Europe/Berlin or UTC.") from error


def configured_slot(settings: ReferralSettings) -> datetime:
    """Return a moment of the configured weekly batch."""
    moment = utc_now().replace(hour=settings.batch_hour_utc, minute=settings.batch_minute_utc, second=0, microsecond=0)
    return moment + timedelta(days=(WEEKDAYS.index(settings.batch_day) - moment.weekday()) % 7)


def weekly_batch_at(day: str, time: tuple[int, int], zone: ZoneInfo) -> dict[str, Any]:
    """Return the settings of a weekly batch at this time of this weekday in a time zone, or of none on NO_DAY."""
    if day == NO_DAY:
        return {"auto_batch_enabled": False}
    hour, minute = time
    local = utc_now().astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0)
    local += timedelta(days=(WEEKDAYS.index(day) - local.weekday()) % 7)
    slot = local.astimezone(ZoneInfo("UTC"))
    return {
        "auto_batch_enabled": True,
        "batch_day": WEEKDAYS[slot.weekday()],
        "batch_hour_utc": slot.hour,
        "batch_minute_utc": slot.minute,
    }


def _checked(key: str, value: object) -> Any:  # noqa: ANN401 -- whatever the setting is
    try:
        return checked_term(key, value)
    except SettingsError as error:
        raise CashbackError(str(error)) from error
