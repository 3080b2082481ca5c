"""Formats whole cents as dollars and parses dollars, without floats."""

import re
from functools import lru_cache
from typing import Final

from cashback.domain.errors import CashbackError

LARGEST_DOLLARS_CENTS: Final = 10**12
PRICES_KEPT: Final = 16_384
"""Most orders of a shop have an amount that occurred before: parsed amounts are cached."""
_DOLLARS: Final = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,2}))?")


def dollars(cents: int) -> str:
    """Format cents as dollars: 123456 is "$1,234.56", -100 is "-$1.00"."""
    whole, fraction = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}${whole:,}.{fraction:02}"


@lru_cache(maxsize=PRICES_KEPT)
def parse_dollars(text: str) -> int:
    """Parse an amount such as "12.34" into cents. Raises a CashbackError that explains the valid form."""
    match = _DOLLARS.fullmatch(text)
    if match is not None:
        whole, fraction = match.groups()
        cents = int(whole) * 100 + (int(fraction.ljust(2, "0")) if fraction else 0)
        if cents <= LARGEST_DOLLARS_CENTS:
            return cents
    raise CashbackError(
        f"amount {text[:40]!r} is not an amount in dollars (digits, at most two decimals, "
        f"at most {dollars(LARGEST_DOLLARS_CENTS)[1:]})"
    )
