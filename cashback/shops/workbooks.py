"""Reads XLSX workbooks as rows of texts, as a CSV of the same sheet would have them."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cashback.domain.extras import Library
from cashback.domain.money import MoneyStyle, money_style
from cashback.shops.currency import is_own

ZIP_MARK: Final = b"PK\x03\x04"
LARGEST_BYTES: Final = 2 << 30
"""Unpacked: a small archive can hold endless zeros."""
EXACT_DIGITS: Final = 10**15
"""A spreadsheet keeps fifteen digits of a number."""
_LOCALE: Final = re.compile(r"\[\$-[^\]]*\]")
_SIGN: Final = re.compile(r"\[\$([^\]-]+)|\"([^\"]*[^\W\d_][^\"]*|[^\"]*[$€£¥₹₽₩₺₫₪฿₴₦][^\"]*)\"|([$€£¥₹₽₩₺₫₪฿₴₦])")
"""How a number's format names a currency: in brackets, as a text with a letter or sign, or as a sign alone."""


class Workbook:
    """The first sheet with rows of a workbook."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "content.xml" in names or "xl/workbook.bin" in names:
                raise ValueError("it is an ODS or XLSB workbook")
            if "xl/workbook.xml" not in names:
                raise ValueError("it is an archive without a workbook; unpack it first")
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_BYTES:
                raise ValueError("it is too large")
        self._path = path
        with self._opened() as book:
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
            self._title = sheets[0].title
            self.row_count: int = sheets[0].max_row or 0
            self.other_sheets = tuple(f"sheet {sheet.title!r}" for sheet in book.worksheets if sheet is not sheets[0])

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        # A file that is open, because openpyxl judges paths by their ending.
        with self._path.open("rb") as file:
            book = Library.SPREADSHEETS.load("openpyxl").load_workbook(file, read_only=True, data_only=True)
            try:
                yield book
            finally:
                book.close()

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with its number, as texts."""
        with self._opened() as book:
            for number, row in enumerate(book[self._title].iter_rows(), start=1):
                yield number, [_text_of(cell) for cell in row]


def _text_of(cell: Any) -> str:  # noqa: ANN401 -- the library has no types
    return _as_text(cell.value, cell.number_format if cell.value is not None else "")


def _as_text(value: object, number_format: str) -> str:
    """Return a cell as a CSV would have it. A number of more than fifteen digits is written as one that was rounded."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number_as_text(value, number_format)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)


def _number_as_text(value: float, number_format: str) -> str:
    shown = _other_currency_in(number_format, money_style())
    return f"{_digits(value, number_format)} {shown}" if shown else _digits(value, number_format)


@lru_cache
def _other_currency_in(number_format: str, _style: MoneyStyle) -> str:
    """Return the currency that a cell shows beside its number; an empty text for the ledger's, or none."""
    found = _SIGN.finditer(_LOCALE.sub("", number_format))
    signs = (next(part for part in each.groups() if part).strip() for each in found)
    return next((sign for sign in signs if not is_own(sign)), "")


def _digits(value: float, number_format: str) -> str:
    if abs(value) >= EXACT_DIGITS:
        return f"{value:.5E}"
    if value == int(value):
        return f"{value:.2f}" if "0.0" in number_format else str(int(value))
    # What a sum of cents in floats leaves behind the second decimal is noise; a third decimal is not.
    rounded = f"{value:.2f}"
    return rounded if abs(value - float(rounded)) < 1e-9 * max(1.0, abs(value)) else repr(value)
