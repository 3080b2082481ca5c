"""The amount and the currency of a row of a shop's export."""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, NamedTuple

from cashback.domain.errors import CashbackError
from cashback.domain.money import PRICES_KEPT
from cashback.shops.amounts import VALUE_SHOWN, Parse, parse_signed, parser_of, style_of, unit_of
from cashback.shops.answers import Answers
from cashback.shops.cells import Columns
from cashback.shops.currency import is_own, own_code, refuse_other
from cashback.shops.kinds.kind import FileKind
from cashback.shops.tables import BadRow, Table

_FIGURES: Final = re.compile(r"(?P<before>[^0-9]*)(?P<figures>[0-9](?:.*[0-9])?)(?P<after>[^0-9]*)")


class Price(NamedTuple):
    """A row's amount in cents, and why it does not count; None if it does."""

    cents: int
    excluded: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Reads the prices of one file."""

    columns: Columns
    amount: str
    currency: str | None
    parse_amount: Parse
    own: str
    is_own: Callable[[str], bool]

    def is_given(self, cells: Sequence[str]) -> bool:
        """Return whether a row has an amount."""
        return bool(self.columns.value(cells, self.amount))

    def read(self, cells: Sequence[str]) -> Price:
        """Read a row's price. Raises CashbackError if it is not one."""
        text = self.columns.value(cells, self.amount)
        figures, symbol = split_symbol(text)
        cents = parse_signed(figures, self.parse_amount)
        if self.currency is not None:
            code = self.columns.value(cells, self.currency).upper()
            if code != self.own:
                return Price(cents, f"in {code[:10]}, not {self.own}" if code else "without a currency")
        if not self.is_own(symbol):
            return Price(cents, f"in {symbol[:10]}, not {self.own}")
        return Price(cents, None)

    def parse(self, text: str) -> int:
        """Read another amount of the row, such as what was refunded. Raises CashbackError if it is other money."""
        figures, symbol = split_symbol(text)
        if not self.is_own(symbol):
            raise CashbackError(f"amount {text[:VALUE_SHOWN]!r} is in {symbol[:10]}, not {self.own}")
        return parse_signed(figures, self.parse_amount)


@lru_cache(maxsize=PRICES_KEPT)
def split_symbol(text: str) -> tuple[str, str]:
    """Split "-$1,234.00" into the figures with a minus before them, and the symbol of the currency.

    A text that is not an amount with a symbol is returned as it is.
    """
    written = html.unescape(text).replace("\u00a0", " ").strip()
    found = _FIGURES.fullmatch(written)
    if found is None:
        return written, ""
    beside = found["before"] + found["after"]
    symbol = re.sub("[-−() ]", "", beside)
    if re.search("[.,+]", symbol):
        return written, ""
    is_negative = "-" in beside or "−" in beside or ("(" in found["before"] and ")" in found["after"])
    return f"{'-' if is_negative else ''}{found['figures']}", symbol


def prices_of(table: Table, kind: FileKind, answers: Answers) -> Prices:
    """Find out how a file writes its prices. Raises CashbackError."""
    refuse_other(answers)
    if kind.in_currency not in {None, own_code()}:
        raise CashbackError(
            f"{table.path} is the file of {kind.name}, whose amounts are in {kind.in_currency}: cashback is paid in"
            f" {own_code()}; other money cannot count."
        )
    columns = Columns(table.columns)
    wanted = answers.amount or next(iter(kind.amounts))
    amount = kind.amounts.get(wanted)
    if amount is None or amount not in columns:
        amount = next((column for column in kind.amounts.values() if column in columns), "")
    amounts = [column for column in (amount, *kind.amounts.values(), kind.refunded) if column and column in columns]

    sample: list[str] = []

    def figures() -> Iterator[str]:
        for _, cells in table.rows():
            if isinstance(cells, BadRow):
                continue
            for column in amounts:
                figure = split_symbol(columns.value(cells, column))[0]
                if not sample and figure.isascii() and figure.isdigit() and figure.strip("0"):
                    sample.append(figure)
                yield figure

    name = str(table.path)
    style, has_decimals = style_of(figures(), answers, name)
    unit = unit_of(has_decimals=has_decimals, sample=sample[0] if sample else None, answers=answers, name=name)
    return Prices(
        columns=columns,
        amount=amount,
        currency=kind.currency,
        parse_amount=parser_of(style, unit),
        own=own_code(),
        is_own=lru_cache(partial(is_own, answers=answers)),
    )
