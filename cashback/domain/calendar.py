"""The calendar of the weekly batch: a weekday and a time of day in UTC, and the moments that follow from them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEK: Final = timedelta(weeks=1)
OFF: Final = "off"
"""How the ledger writes that there is no weekly batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When the weekly batch is due: a weekday by its name, and a time of day in UTC."""

    weekday: str
    hour: int
    minute: int

    def __str__(self) -> str:
        """Return the rule as the ledger keeps it: "friday 15:00"."""
        return f"{self.weekday} {self.hour:02}:{self.minute:02}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a rule as the ledger keeps it."""
        weekday, _, time_of_day = text.partition(" ")
        hour, _, minute = time_of_day.partition(":")
        return cls(weekday=weekday, hour=int(hour), minute=int(minute))

    def latest_slot(self, moment: datetime) -> datetime:
        """Return the latest slot that is not after a moment."""
        days_since = (moment.weekday() - WEEKDAYS.index(self.weekday)) % 7
        day = moment.astimezone(UTC) - timedelta(days=days_since)
        slot_at = day.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        return slot_at if slot_at <= moment else slot_at - WEEK

    def next_slot(self, moment: datetime) -> datetime:
        """Return the first slot after a moment."""
        return self.latest_slot(moment) + WEEK

    def has(self, moment: datetime) -> bool:
        """Tell whether a moment is a slot."""
        return self.latest_slot(moment) == moment

    def slots_between(self, after: datetime, until: datetime) -> list[datetime]:
        """List the slots after one moment, up to and with another, oldest first."""
        slots = []
        slot_at = self.latest_slot(until)
        while slot_at > after:
            slots.append(slot_at)
            slot_at -= WEEK
        return slots[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is configured of the weekly batch: its rule (None where it is off), and hours.

    `grace_hours` is how late a missed slot is still paid, `notice_hours` how long before one the admins are told.
    """

    rule: Rule | None
    grace_hours: int
    notice_hours: int

    @property
    def rule_text(self) -> str:
        """The rule as the ledger keeps it, "off" where there is none."""
        return str(self.rule) if self.rule else OFF
