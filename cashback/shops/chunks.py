"""What a file of purchases holds, in parts: purchases, refunds, and rows that are bad, excluded or without a buyer."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.refunds import Refund
from cashback.shops.tables import BadRow

T = TypeVar("T")

FURTHER_LINES: Final = "further lines of orders"


class Guest(NamedTuple):
    """An order without a Discord id. `email` is the buyer's, None if the file has none; it is never stored.

    `number` is the order's number as the buyer sees it, if that is another one than its id.
    """

    order_id: str
    amount_cents: int
    purchased_at: datetime | None = None
    email: str | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Excluded:
    """A row or order that does not count, with the reason."""

    line: int
    reason: str
    cents: int


@dataclass(slots=True)
class Chunk(Generic[T]):
    """Rows that were read together: the good ones, each with its line, and the others."""

    rows: list[T] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    """What the rows of orders say of their refunds and disputes."""
    refund_rows: list[tuple[int, Refund]] = field(default_factory=list)
    """Refunds that are rows of their own, each with its line."""
    other_rows: Counter[str] = field(default_factory=Counter)
    """Rows that are neither orders nor refunds, such as the further items of an order."""
    guests: list[tuple[int, Guest]] = field(default_factory=list)
    """Orders without a Discord id, each with its line."""
    delivered_ids: dict[str, str] = field(default_factory=dict)
    """The ids by which the shop's deliveries name orders, if these are others than the file's."""
    read: int = 0
    """Rows of the file that are not empty."""


class RowFile(Protocol[T]):
    """A file whose text and header are known to be good."""

    @property
    def kind_name(self) -> str:
        """Name the kind of the file."""
        ...

    @property
    def line_count(self) -> int:
        """Count the lines, roughly."""
        ...

    @property
    def has_dates(self) -> bool:
        """Return whether the rows name the moments of purchases."""
        ...

    @property
    def not_looked_at(self) -> tuple[str, ...]:
        """Name the columns and sheets that were not read."""
        ...

    def chunks(self, size: int) -> Iterator[Chunk[T]]:
        """Read the rows, so many at a time."""
        ...


PurchaseFile = RowFile[Purchase]
ReferralRow = tuple[int, int, datetime | None]
"""Referrer, referred member, and when; None is not known."""

ReferralFile = RowFile[ReferralRow]
