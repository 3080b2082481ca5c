"""Ids that a spreadsheet has rounded: it keeps fifteen digits of a number, so the last ones become zeros."""

from collections.abc import Iterable
from typing import Final

from cashback.domain.errors import CashbackError

ROUNDED_IDS: Final = 3
"""So many different ones; by chance one id in a thousand ends so."""
ROUNDED_SHARE: Final = 0.05


def refuse_rounded(ids: Iterable[str], name: str) -> None:
    """Raise CashbackError if too many of a file's ids end in 000."""
    count = rounded = 0
    different: set[str] = set()
    for text in ids:
        count += 1
        if text.endswith("000"):
            rounded += 1
            if len(different) < ROUNDED_IDS:
                different.add(text)
    if len(different) >= ROUNDED_IDS and rounded > ROUNDED_SHARE * count:
        raise CashbackError(
            f"{name}: {rounded:,} of {count:,} ids end in 000, such as {min(different)}: a spreadsheet rounded them;"
            " export the file again and import it without opening it there, or format the ids as text first."
        )
