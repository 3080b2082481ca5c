"""Money as people write it: whole cents to dollars and back, without a float between."""

import re
from typing import Final

from pipeline.errors import CashbackError

LARGEST_DOLLARS_CENTS: Final = 10**12
SHORTEST: Final = len("000")
LONGEST: Final = len("999999999999")
"""Digits with both decimals: so many are an amount whatever they are."""
_DOLLARS: Final = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,2}))?")


def dollars(cents: int) -> str:
    """Write cents as dollars: 123456 is "$1,234.56", -100 is "-$1.00"."""
    whole, fraction = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}${whole:,}.{fraction:02}"


def parse_dollars(text: str) -> int:
    """Read an amount such as "12.34" as cents. Raises CashbackError that says what it may be."""
    # Most amounts have two decimals and are small; for these the expression would take as long as all else of a row.
    digits = text[:-3] + text[-2:]
    if text[-3:-2] == "." and SHORTEST <= len(digits) <= LONGEST and digits.isdigit() and digits.isascii():
        return int(digits)
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
