"""A file as rows of cells, whether it is CSV with commas, semicolons or tabs, or an XLSX workbook."""

import csv
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cashback.domain.errors import CashbackError
from cashback.shops.encodings import TextFormat, find_encoding
from cashback.shops.workbooks import ZIP_MARK, Workbook

if TYPE_CHECKING:
    from _csv import Reader

SEPARATORS: Final = (",", ";", "\t")
VALUE_SHOWN: Final = 40

Cells = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be taken, by its line in the file."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file with a text and a header that can be read.

    `columns` are the header's names in lower case, `rows` opens the file again and yields each row with its line: the
    cells, as many as columns, or what is wrong with the row.
    """

    path: Path
    columns: list[str]
    line_count: int
    rows: Callable[[], Iterator[tuple[int, Cells | BadRow]]]
    not_read: tuple[str, ...] = ()
    """What else the file holds, in words."""
    may_be_rounded: bool = True
    """Whether an id in it may be one that a spreadsheet rounded: the rows are read for it only then."""


def open_table(path: Path, count_known: Callable[[list[str]], int]) -> Table:
    """Find out how a file is written. `count_known` rates a header, to choose between separators.

    Raises CashbackError if the file cannot be read as a table.
    """
    _require_file(path)
    with path.open("rb") as file:
        is_zip = file.read(len(ZIP_MARK)) == ZIP_MARK
    return _open_workbook(path) if is_zip else _open_text(path, count_known)


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise CashbackError(f"{path} is a folder; name a CSV or XLSX file.")
    if not path.exists():
        raise CashbackError(f"{path} does not exist.")
    if not path.is_file():
        raise CashbackError(f"{path} is not a regular file; name a CSV or XLSX file.")


def _open_workbook(path: Path) -> Table:
    try:
        book = Workbook(path)
        first = next(((line, cells) for line, cells in book.rows() if any(cells)), None)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CashbackError(f"{path} is not an XLSX workbook that can be read ({error}); save it as CSV.") from error
    header_line, header = first if first is not None else (0, [])
    while header and not header[-1].strip():
        header.pop()
    width = len(header)

    def rows() -> Iterator[tuple[int, Cells | BadRow]]:
        for line, cells in book.rows():
            if line > header_line and any(cells):
                yield line, _fitted(cells, width, line)

    return Table(path=path, columns=_names(header), line_count=book.row_count, rows=rows, not_read=book.other_sheets)


def _fitted(cells: Cells, width: int, line: int) -> Cells | BadRow:
    """Return a workbook's row with as many cells as the header; rows are shorter or longer as their last cells are."""
    if any(cells[width:]):
        return BadRow(line=line, reason=_wrong_width(len(cells), width))
    return cells[:width] + [""] * (width - len(cells))


def _open_text(path: Path, count_known: Callable[[list[str]], int]) -> Table:
    text = find_encoding(path)
    error: csv.Error | None = None
    best: tuple[tuple[int, int], str, list[str]] | None = None
    for separator in SEPARATORS:
        try:
            columns = _names(_read_header(path, text, separator))
        except csv.Error as problem:
            error = error or problem
            continue
        rating = (count_known(columns), len(columns))
        if best is None or rating > best[0]:
            best = (rating, separator, columns)
    if best is None or (error is not None and best[0] <= (0, 1)):
        raise CashbackError(f"{path}: the header is not valid CSV ({error}).") from error
    _, separator, columns = best

    def rows() -> Iterator[tuple[int, Cells | BadRow]]:
        return _read_rows(path, text, separator, len(columns))

    return Table(path=path, columns=columns, line_count=text.line_count, rows=rows, may_be_rounded=text.may_be_rounded)


def _names(cells: Cells) -> list[str]:
    # A file that was put together of several may have several byte order marks.
    return [" ".join(cell.replace("\ufeff", "").split()).lower() for cell in cells]


def _read_header(path: Path, text: TextFormat, separator: str) -> Cells:
    with path.open(encoding=text.encoding, newline="") as file:
        return _header(csv.reader(file, delimiter=separator, strict=True))


def _header(reader: "Reader") -> Cells:
    """Return the first row that is not empty, or a spreadsheet's line "sep=;"."""
    for cells in reader:
        if cells and not cells[0].lower().startswith("sep="):
            return cells
    return []


def _read_rows(path: Path, text: TextFormat, separator: str, width: int) -> Iterator[tuple[int, Cells | BadRow]]:
    with path.open(encoding=text.encoding, newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        _header(reader)
        while True:
            line = reader.line_num + 1
            try:
                for cells in reader:
                    if len(cells) == width:
                        yield line, cells
                    elif any(map(str.strip, cells)):
                        yield line, BadRow(line=line, reason=_wrong_width(len(cells), width))
                    line = reader.line_num + 1
            except csv.Error as error:
                yield line, BadRow(line=line, reason=f"the row is not valid CSV ({error})")
            else:
                return


def _wrong_width(cells: int, width: int) -> str:
    return (
        f"the row has {cells:,} cell{'' if cells == 1 else 's'},"
        f" the header names {width:,} column{'' if width == 1 else 's'}"
    )
