"""Formats whole cents as dollars and parses dollars, without floats."""

import re
from functools import lru_cache
from typing import Final

from cashback.domain.errors import CashbackError

LARGEST_DOLLARS_CENTS: Final = 10**12
PRICES_KEPT: Final = 16_384
"""Most orders of a shop have an amount that occurred before: parsed amounts are cached."""
_DOLLARS: Final = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,2}))?")
_TYPED: Final = re.compile(r"\$? ?([0-9]{1,20}|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,6})(\.[0-9]{1,2})?")
_HAS_SEPARATORS: Final = re.compile(r"\$? ?[0-9][0-9.,' ]*[0-9]")


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


def parse_typed_dollars(text: str) -> int:
    """Read an amount as people write it, such as "$12.50" or "1,250.00", as cents.

    Raises CashbackError if it is not valid, or ambiguous: "1,25" is $1.25 to some people and $125 to others.
    """
    typed = text.strip()
    match = _TYPED.fullmatch(typed)
    if match is not None:
        return parse_dollars(match[1].replace(",", "") + (match[2] or ""))
    if not typed.isascii() or "," not in typed or not _HAS_SEPARATORS.fullmatch(typed):
        return parse_dollars(typed)
    raise CashbackError(
        f"amount {text[:40]!r} is not an amount in dollars that can be read in one way only; write a point before the"
        " cents and commas between thousands, as in 1,250.00"
    )
