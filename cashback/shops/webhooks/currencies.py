"""Minor units of currencies, and the part of an order that a refund takes."""

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from cashback.domain.money import MoneyStyle


@lru_cache
def decimals_of(currency: str) -> int:
    """Return the number of decimals of a currency."""
    return MoneyStyle(currency).decimals


def to_minor_units(amount: Decimal, currency: str) -> int | None:
    """Convert an amount to minor units; None if it has more decimals than its currency."""
    units = amount.scaleb(decimals_of(currency))
    return int(units) if units == units.to_integral_value() else None


def share_of(amount_cents: int, *, counted_cents: int, total_cents: int) -> int:
    """Return the part of a refund that belongs to what counts of an order: its goods without taxes and shipping."""
    if not total_cents or counted_cents >= total_cents:
        return amount_cents
    part = Decimal(amount_cents) * counted_cents / total_cents
    return int(part.to_integral_value(ROUND_HALF_UP))
