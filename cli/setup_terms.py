"""The setup's questions about the terms: currency, percentage, holding period, minimum payout, the weekly batch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cashback.domain.errors import CashbackError
from cashback.domain.money import MoneyStyle, dollars, use_money_style
from cashback.services.typed_terms import (
    NO_DAY,
    WEEKDAYS,
    configured_slot,
    read_currency,
    read_holding_days,
    read_minimum,
    read_percent,
    read_time,
    read_weekday,
    read_zone,
    weekly_batch_at,
)
from cashback.settings import ReferralSettings, Settings
from cli.output import say
from cli.setup_questions import Questions

SUGGESTED_HOLDING_DAYS: Final = 14
EXAMPLE_CENTS: Final = 2_000
LOCALTIME: Final = Path("/etc/localtime")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTerms:
    """The terms that were given as options."""

    currency: str | None = None
    percent: str | None = None
    holding_days: str | None = None
    minimum: str | None = None
    timezone: str | None = None
    weekday: str | None = None
    time: str | None = None


def ask_currency(questions: Questions, given: GivenTerms, settings: Settings, counted: str | None) -> str:
    """Ask for the currency; amounts are read and shown in it from then on. `counted` is the ledger's, if it is fixed.

    Raises CashbackError if another one than the ledger's was given: that is never changed.
    """
    if counted is not None:
        if given.currency is not None and read_currency(given.currency) != counted:
            raise CashbackError(
                f"--currency is {given.currency}, but the ledger counts in {counted}, which never changes."
            )
        currency = counted
        say(f"Currency: {currency}; the ledger counts in it.")
    else:
        currency = questions.value(
            "Currency of the orders, never changed later",
            settings.currency,
            read_currency,
            option="--currency",
            given=given.currency,
        )
    use_money_style(MoneyStyle(currency, settings.locale))
    return currency


def ask_terms(questions: Questions, given: GivenTerms, now: ReferralSettings, *, is_first: bool) -> dict[str, Any]:
    """Ask for the terms; return them as settings. At the first setup the holding period is suggested."""
    say(f"Terms. 5 means that a {dollars(EXAMPLE_CENTS)} order earns its buyer's referrer {_earned(Decimal(5))}.")
    percent = questions.value(
        "Cashback in percent",
        f"{now.cashback_percent.normalize():f}",
        read_percent,
        option="--percent",
        given=given.percent,
    )
    say(f"  A {dollars(EXAMPLE_CENTS)} order earns {_earned(percent)}.")
    held = SUGGESTED_HOLDING_DAYS if is_first else now.holding_days
    holding_days = questions.value(
        "Holding period in days: cashback is payable after it, so that refunds come first",
        str(held),
        read_holding_days,
        option="--holding-days",
        given=given.holding_days,
    )
    minimum = questions.value(
        "Minimum payout", dollars(now.min_payout_cents), read_minimum, option="--minimum", given=given.minimum
    )
    return {
        "cashback_percent": percent,
        "holding_days": holding_days,
        "min_payout_cents": minimum,
        **_ask_schedule(questions, given, now),
    }


def _ask_schedule(questions: Questions, given: GivenTerms, now: ReferralSettings) -> Mapping[str, Any]:
    zone = questions.value("Your time zone", _own_zone(), read_zone, option="--timezone", given=given.timezone)
    moment = configured_slot(now).astimezone(zone)
    suggestion = WEEKDAYS[moment.weekday()] if now.auto_batch_enabled else NO_DAY
    day = questions.value(
        f"Weekday of the weekly batch, or {NO_DAY}", suggestion, read_weekday, option="--weekday", given=given.weekday
    )
    time = (moment.hour, moment.minute)
    if day != NO_DAY:
        time = questions.value("Time of day", f"{moment:%H:%M}", read_time, option="--time", given=given.time)
    return weekly_batch_at(day, time, zone)


def _earned(percent: Decimal) -> str:
    """Return what the example earns; below a cent, the carry."""
    earned = percent * EXAMPLE_CENTS / 100
    whole = int(earned)
    return dollars(whole) if earned == whole else f"{dollars(whole)} and a fraction of a cent, which is carried"


def _own_zone() -> str:
    """Return the name of this machine's time zone, UTC if it has none."""
    names = [os.environ.get("TZ", ""), str(LOCALTIME.resolve()).partition("zoneinfo/")[2]]
    for name in filter(None, names):
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"
