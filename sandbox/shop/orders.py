"""An order of the sandbox's shop."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

START: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order: its number, the price of the goods, and the taxes on top, in cents."""

    number: int
    goods_cents: int
    tax_cents: int = 0
    shipping_cents: int = 0
    currency: str = "USD"
    discord_id: int | None = None
    email: str = "buyer@example.com"
    at: datetime = START
    is_test: bool = False

    @property
    def total_cents(self) -> int:
        """Everything that the buyer paid."""
        return self.goods_cents + self.tax_cents + self.shipping_cents

    @property
    def moment(self) -> str:
        """The moment of the order, as most shops write it."""
        return self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund of a part of an order: of so much of its total, as refund number so and so."""

    number: int
    cents: int
    in_all_cents: int
    """All that was refunded of the order so far, with this refund."""


def decimal(cents: int) -> str:
    """Write cents as an amount with two decimals."""
    return f"{cents // 100}.{cents % 100:02}"
