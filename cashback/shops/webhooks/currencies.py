"""Minor units of currencies: how many decimals an amount has, and the part of it that a refund takes."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

WITHOUT_DECIMALS: Final = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
WITH_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
USUAL_DECIMALS: Final = 2


def decimals_of(currency: str) -> int:
    """Return the number of decimals of a currency."""
    if currency in WITHOUT_DECIMALS:
        return 0
    return 3 if currency in WITH_THREE_DECIMALS else USUAL_DECIMALS


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
