"""Events for other programs: a payout was credited, a withdrawal requested, paid, declined or cancelled."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

PAUSES: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 36_000, 86_400)
)
"""The pauses between the attempts of one delivery. After the last attempt it has failed."""


class Event(StrEnum):
    """What happened. The values are part of the interface."""

    PAYOUT_CREDITED = "payout.credited"
    WITHDRAWAL_REQUESTED = "withdrawal.requested"
    WITHDRAWAL_PAID = "withdrawal.paid"
    WITHDRAWAL_DECLINED = "withdrawal.declined"
    WITHDRAWAL_CANCELLED = "withdrawal.cancelled"


class EventStatus(StrEnum):
    """The state of a delivery."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDelivery:
    """An event for one webhook, with all that its body has."""

    number: int
    webhook: str
    event: Event
    happened_at: datetime
    status: EventStatus
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    data: dict[str, Any]

    @property
    def message_id(self) -> str:
        """The id by which the receiver recognises a repeat. After a restore a number may be another event's."""
        return f"msg_{self.number}_{self.happened_at:%Y%m%d%H%M%S%f}"
