"""What there is to say about a shop's export: its columns, which rows count, where a Discord id can stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

YES: Final = frozenset({"1", "true", "yes", "y", "t"})


class Place(Enum):
    """How a Discord id stands in a column: as the whole cell, after its name in a note, or alone in a free text."""

    CELL = "cell"
    NAMED = "named"
    FREE = "free"


class Lines(Enum):
    """How the rows of one order belong together.

    `ONE`: an order is one row. `FIRST`: the first row has the order's amount, rows without an amount are its items.
    `ITEMS`: each row is an item, and their amounts are summed. `LEDGER`: a negative row takes back what its reference,
    or the row of the same order, brought.
    """

    ONE = "one"
    FIRST = "first"
    ITEMS = "items"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A row counts only if this column's value, in lower case, is one of `only`, none of `never`, and holds no `word`.

    `takes_back` is for rows that say that the whole order came back: if it was counted before, it is refunded.
    """

    column: str
    reason: str
    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()
    word: str | None = None
    must_be_empty: bool = False
    takes_back: bool = False

    def leaves_out(self, value: str) -> bool:
        """Return whether a value excludes its row."""
        if self.must_be_empty:
            return bool(value)
        if self.word is not None:
            return self.word in value
        if self.only is not None:
            return value not in self.only
        return value in self.never


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """One kind of export file. Columns are written in lower case; those that a file lacks are passed over.

    `amounts` maps "subtotal" (goods only) and "total" to columns; the first is taken unless the admin says otherwise.
    `moments` are the columns that make up the moment.
    """

    name: str
    identified_by: frozenset[str]
    order_id: str = ""
    delivered_id: str | None = None
    """The column with the id by which the shop's deliveries name an order, if it is another one."""
    amounts: Mapping[str, str] = field(default_factory=dict)
    moments: tuple[str, ...] = ()
    day_order: str | None = None
    buyers: Mapping[str, Place] = field(default_factory=dict)
    currency: str | None = None
    in_currency: str | None = None
    """The currency of all amounts, if the shop always writes the same."""
    lines: Lines = Lines.ONE
    item_id: str | None = None
    reference: str | None = None
    rules: tuple[Rule, ...] = ()
    refunded: str | None = None
    refunded_in_all: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Columns with a value that means a refund of the whole order."""
    disputed: tuple[str, str] | None = None
    """The column that says that an order is disputed, and the one that says that the dispute was won."""
    totals: str | None = None
    """What a row of totals has in place of an order id, in lower case."""
    harmless: frozenset[str] = frozenset()
    """Columns that look as if they mattered and do not."""
    refusal: str | None = None
    """Why files of this kind are not taken."""

    @property
    def understood(self) -> frozenset[str]:
        """List the columns that this kind reads or knows to be harmless."""
        read = {
            self.order_id,
            self.delivered_id,
            self.currency,
            self.item_id,
            self.reference,
            self.refunded,
            *self.amounts.values(),
        }
        read |= {
            *self.moments,
            *self.buyers,
            *self.refunded_in_all,
            *(self.disputed or ()),
            *(rule.column for rule in self.rules),
        }
        return self.harmless | {column for column in read if column}
