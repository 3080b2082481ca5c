"""What shops report in their deliveries, in words that all shop systems share."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    """What happened to an order.

    `REFUNDED` is one refund with its id, `REFUNDED_IN_ALL` the sum of all refunds of the order so far.
    """

    PAID = "paid"
    REFUNDED = "refunded"
    REFUNDED_IN_ALL = "refunded_in_all"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopEvent:
    """One event of an order. `order_id` is the id that the shop's refunds name.

    `number` is the order's number as the buyer sees it, and `file_id` the other id under which a file or an earlier
    version may have recorded it, if there is one. `amount_cents` is in the currency's minor units; None for the whole
    order. `refund_id` is the id of the refund or of the dispute. `at` is None if the delivery has no moment. `email` is
    the buyer's; it is never stored.
    """

    kind: EventKind
    order_id: str
    amount_cents: int | None = None
    currency: str | None = None
    is_test: bool = False
    buyer_id: int | None = None
    refund_id: str | None = None
    at: datetime | None = None
    email: str | None = None
    number: str | None = None
    file_id: str | None = None
    is_of_unpaid: bool = False
    """Whether the shop says that the order was never paid: then nothing is taken back unless it was recorded."""
