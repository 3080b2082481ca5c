"""Minor units of currencies, and the part of an order that a refund takes."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cashback.domain.money import MoneyStyle

NONE_APART: Final[Mapping[str, int]] = MappingProxyType({})
_WITHOUT_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_ISO_DECIMALS: Final = {
    **dict.fromkeys(_WITHOUT_DECIMALS.split(), 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""The currencies that do not have two decimals in ISO 4217."""


@lru_cache
def decimals_of(currency: str) -> int:
    """Return the number of decimals of a currency."""
    return MoneyStyle(currency).decimals


def to_minor_units(amount: Decimal, currency: str) -> int | None:
    """Convert an amount to minor units; None if it has more decimals than its currency."""
    units = amount.scaleb(decimals_of(currency))
    return int(units) if units == units.to_integral_value() else None


def from_minor_units(units: int, currency: str, *, apart: Mapping[str, int] = NONE_APART) -> int:
    """Convert a shop's minor units, which have ISO 4217's decimals or those of `apart`, to this program's.

    The ledger counts some currencies, such as HUF, in fewer decimals; what is below its minor unit does not count.
    """
    decimals = apart.get(currency, _ISO_DECIMALS.get(currency, 2))
    return int(Decimal(units).scaleb(decimals_of(currency) - decimals))


def share_of(amount_cents: int, *, counted_cents: int, total_cents: int) -> int:
    """Return the part of a refund that belongs to what counts of an order: its goods without taxes and shipping."""
    if not total_cents or counted_cents >= total_cents:
        return amount_cents
    part = Decimal(amount_cents) * counted_cents / total_cents
    return int(part.to_integral_value(ROUND_HALF_UP))
