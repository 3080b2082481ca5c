"""Which purchases earn by their dates, and where they come from."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

MAIN: Final = "main"
"""The source of everything for which no shop is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningDates:
    """A purchase earns from its referral on, or so many days before it; never before the program starts.

    With `earns_for_days`, a referral earns by purchases of so many days. With `monthly_cap_cents`, a referrer earns at
    most so much by the purchases of one month.
    """

    earn_before_referral_days: int = 0
    program_starts_at: datetime | None = None
    earns_for_days: int | None = None
    monthly_cap_cents: int | None = None

    def earns(self, purchased_at: datetime, referred_at: datetime | None) -> bool:
        """Return whether a purchase is late enough for its referral; one without a date counts from always."""
        if referred_at is None or purchased_at >= referred_at:
            return True
        days_before = self.earn_before_referral_days
        return days_before > 0 and purchased_at >= referred_at - timedelta(days=days_before)

    def is_over(self, purchased_at: datetime, referred_at: datetime | None) -> bool:
        """Return whether a referral earned long enough by then; one without a date earns for good."""
        if self.earns_for_days is None or referred_at is None:
            return False
        return purchased_at >= referred_at + timedelta(days=self.earns_for_days)

    @property
    def is_limited(self) -> bool:
        """Return whether a purchase that counts may earn less than its rate."""
        return self.earns_for_days is not None or self.monthly_cap_cents is not None

    def is_in_program(self, purchased_at: datetime) -> bool:
        """Return whether the program had started."""
        return self.program_starts_at is None or purchased_at >= self.program_starts_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where purchases and refunds come from: the shop, and the number of the import, delivery or command."""

    source: str = MAIN
    intake_number: int | None = None
    correction_number: int | None = None
    """The correction that a purchase or refund belongs to, if it does not come from a shop."""


ANY_TIME: Final = EarningDates()
FROM_MAIN: Final = Origin()


def order_key(order_id: str) -> str:
    """Return an order id as it is compared within its shop: "1001", "#1001" and " 1001 " are one order."""
    stripped = order_id.strip()
    return (stripped[1:].lstrip() or stripped) if stripped.startswith("#") else stripped
