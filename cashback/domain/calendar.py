"""The calendar of the weekly batch: a weekday and a time of day in UTC, and the moments that follow from them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEK: Final = timedelta(weeks=1)
OFF: Final = "off"
"""The ledger's value for a schedule that is switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When the weekly batch is due: a weekday by its name, and a time of day in UTC."""

    weekday: str
    hour: int
    minute: int

    def __str__(self) -> str:
        """Return the rule in the ledger's form: "friday 15:00"."""
        return f"{self.weekday} {self.hour:02}:{self.minute:02}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a rule in the ledger's form."""
        weekday, _, time_of_day = text.partition(" ")
        hour, _, minute = time_of_day.partition(":")
        return cls(weekday=weekday, hour=int(hour), minute=int(minute))

    def latest_slot(self, moment: datetime) -> datetime:
        """Return the latest slot at or before a moment."""
        days_since = (moment.weekday() - WEEKDAYS.index(self.weekday)) % 7
        day = moment.astimezone(UTC) - timedelta(days=days_since)
        slot_at = day.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        return slot_at if slot_at <= moment else slot_at - WEEK

    def next_slot(self, moment: datetime) -> datetime:
        """Return the first slot after a moment."""
        return self.latest_slot(moment) + WEEK

    def has(self, moment: datetime) -> bool:
        """Return whether a moment is a slot."""
        return self.latest_slot(moment) == moment

    def slots_between(self, after: datetime, until: datetime) -> list[datetime]:
        """List the slots after one moment, up to and including another, oldest first."""
        slots = []
        slot_at = self.latest_slot(until)
        while slot_at > after:
            slots.append(slot_at)
            slot_at -= WEEK
        return slots[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The configured weekly batch: its rule (None if it is off), and hours.

    A missed slot is still paid up to `grace_hours` late; the admins get a notice `notice_hours` before a slot.
    """

    rule: Rule | None
    grace_hours: int
    notice_hours: int

    @property
    def rule_text(self) -> str:
        """The rule in the ledger's form, "off" if there is no rule."""
        return str(self.rule) if self.rule else OFF
