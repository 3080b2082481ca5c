"""Finds the buyer's Discord id in a row of a shop's export, where one can stand."""

from collections.abc import Sequence
from typing import Final

from cashback.domain.errors import CashbackError
from cashback.shops.cells import Columns
from cashback.shops.columns import EMAILS, words_of
from cashback.shops.ids import named_ids, only_id, to_id, unguarded
from cashback.shops.kinds.kind import FileKind, Place

LONGEST_EMAIL: Final = 200
NAMES_SHOWN: Final = 100


class BuyerColumns:
    """The columns in which a Discord id can stand: those of the kind, and any that is named after Discord."""

    def __init__(self, columns: Sequence[str], kind: FileKind) -> None:
        self._columns = Columns(columns)
        named = {column: Place.CELL for column in columns if "discord" in words_of(column)}
        self._places = {**named, **{column: place for column, place in kind.buyers.items() if column in columns}}

    @property
    def names(self) -> frozenset[str]:
        """Return the names of these columns."""
        return frozenset(self._places)

    def find(self, cells: Sequence[str]) -> int | None:
        """Return the buyer's id, None if none stands in the row.

        Raises CashbackError if a cell that is named after Discord holds something else, or two differ.
        """
        found = {
            buyer_id
            for column, place in self._places.items()
            if (buyer_id := _read(unguarded(self._columns.value(cells, column)), column, place)) is not None
        }
        if len(found) > 1:
            raise CashbackError(f"the row names several Discord ids: {', '.join(map(str, sorted(found)))}")
        return found.pop() if found else None


def _read(text: str, column: str, place: Place) -> int | None:
    if not text:
        return None
    if place is Place.FREE:
        found = only_id(text)
        return int(found) if found is not None and int(found) < 1 << 63 else None
    if place is Place.NAMED:
        named = named_ids(text)
        if len(named) > 1:
            raise CashbackError(f"{column} names several Discord ids: {', '.join(named)[:NAMES_SHOWN]}")
        return to_id(named[0], "discord_id") if named else None
    if "discord" in words_of(column):
        return to_id(text, column)
    # Shops use this cell for other things as well.
    found = only_id(text)
    return int(text) if found == text and int(text) < 1 << 63 else None


def email_in(columns: Columns, cells: Sequence[str]) -> str | None:
    """Return the buyer's e-mail, from the first column that holds one; None without one."""
    found = (as_email(columns.value(cells, column)) for column in EMAILS)
    return next((email for email in found if email is not None), None)


def as_email(text: str) -> str | None:
    """Return a cell's text if it looks like an e-mail."""
    return text.strip() if "@" in text and len(text) <= LONGEST_EMAIL else None
