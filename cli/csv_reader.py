"""Reads purchases and referrals from CSV files: good rows, and bad rows with the reason.

A file that cannot be read at all is refused before any row is imported. Rows are streamed.
"""

import codecs
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from cashback.database.referral_program.people import LARGEST_ID
from cashback.database.referral_program.purchases import Purchase
from cashback.domain.errors import CashbackError
from cashback.domain.money import parse_dollars
from cli.output import counted

if TYPE_CHECKING:
    from _csv import Reader

BLOCK_BYTES: Final = 1 << 20
LONGEST_ORDER_ID: Final = 200
LONGEST_ID: Final = 19
VALUE_SHOWN: Final = 40
LAST_YEAR: Final = 9998
"""A later purchase could not be held for some days: the calendar ends."""

Cells = list[str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be imported, by its line in the file."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Chunk(Generic[T]):
    """Rows that were read together: the good ones, each with its line, and the bad ones."""

    rows: list[T]
    lines: list[int]
    bad: list[BadRow]

    @property
    def read(self) -> int:
        """Count the rows, good and bad."""
        return len(self.rows) + len(self.bad)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFile(Generic[T]):
    """A file whose text and header are known to be good."""

    path: Path
    columns: list[str]
    """The header."""
    parse: Callable[[Sequence[str]], T]
    """Makes a row from the cells of the wanted columns; raises CashbackError with the reason if it cannot."""
    pick: Callable[[Cells], Sequence[str]]
    """Picks the wanted cells of a row."""
    line_count: int

    def chunks(self, size: int) -> Iterator[Chunk[T]]:
        """Read the rows in chunks of this size."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            _header(reader)
            while True:
                chunk = self._read(reader, size)
                if not chunk.read:
                    return
                yield chunk

    def _read(self, reader: "Reader", size: int) -> Chunk[T]:
        rows: list[T] = []
        lines: list[int] = []
        bad: list[BadRow] = []
        width, pick, parse = len(self.columns), self.pick, self.parse
        while len(rows) + len(bad) < size:
            line = reader.line_num + 1
            try:
                cells = next(reader)
                if len(cells) != width:
                    if not cells:
                        continue
                    raise CashbackError(_wrong_width(cells, width))  # noqa: TRY301 -- it is reported like any other bad row
                rows.append(parse(pick(cells)))
                lines.append(line)
            except StopIteration:
                break
            except CashbackError as error:
                bad.append(BadRow(line=line, reason=str(error)))
            except csv.Error as error:
                bad.append(BadRow(line=line, reason=f"the row is not valid CSV ({error})"))
        return Chunk(rows, lines, bad)


def _wrong_width(cells: Cells, width: int) -> str:
    return f"the row has {counted(len(cells), 'cell')}, the header names {counted(width, 'column')}"


def open_purchases(path: Path) -> CsvFile[Purchase]:
    """Check a file of purchases: `order_id,buyer_id,amount` and optionally `purchased_at`."""
    return _open(path, ("order_id", "buyer_id", "amount"), ("purchased_at",), _to_purchase)


def open_referrals(path: Path) -> CsvFile[tuple[int, int]]:
    """Check a file of referrals: `referrer_id,referred_id`."""
    return _open(path, ("referrer_id", "referred_id"), (), _to_pair)


def _open(
    path: Path, needed: tuple[str, ...], optional: tuple[str, ...], parse: Callable[[Sequence[str]], T]
) -> CsvFile[T]:
    line_count = _check_text(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            columns = _header(csv.reader(file, strict=True))
        except csv.Error as error:
            raise CashbackError(f"{path}: the header is not valid CSV ({error}).") from error
    expected = ", ".join(needed) + "".join(f" (and optionally {column})" for column in optional)
    if not columns:
        raise CashbackError(f"{path} is empty; its first line must name the columns {expected}.")
    missing = [column for column in needed if column not in columns]
    if missing:
        raise CashbackError(f"{path} lacks the column {missing[0]}; its first line must name {expected}, with commas.")
    present = [*needed, *(column for column in optional if column in columns)]
    for column in present:
        if columns.count(column) > 1:
            raise CashbackError(f"{path} names the column {column} twice; remove or rename one.")
    pick = itemgetter(*(columns.index(column) for column in present))
    return CsvFile(path=path, columns=columns, parse=parse, pick=pick, line_count=line_count)


def _header(reader: "Reader") -> list[str]:
    for cells in reader:
        if cells:
            return [cell.strip().lower() for cell in cells]
    return []


def _check_text(path: Path) -> int:
    """Read the whole file once and return its number of lines. Raises CashbackError if it is not UTF-8 text."""
    if path.is_dir():
        raise CashbackError(f"{path} is a folder; name a CSV file.")
    if path.exists() and not path.is_file():
        raise CashbackError(f"{path} is not a regular file; name a CSV file.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                if b"\0" in block:
                    line = lines + block[: block.index(0)].count(10) + 1
                    raise CashbackError(f"{path} is not a text file: line {line} holds a NUL byte.")
                decoder.decode(block)
                lines += block.count(b"\n")
            decoder.decode(b"", final=True)
    except FileNotFoundError as error:
        raise CashbackError(f"{path} does not exist.") from error
    except OSError as error:
        raise CashbackError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise CashbackError(f"{path} is not UTF-8 text (near line {lines + 1}); save it as UTF-8.") from error
    return lines


def _to_purchase(cells: Sequence[str]) -> Purchase:
    return Purchase(
        check_order_id(cells[0]),
        to_id(cells[1], "buyer_id"),
        parse_dollars(cells[2].strip()),
        _to_moment(cells[3]) if len(cells) > 3 else None,  # noqa: PLR2004 -- the optional column
    )


def _to_pair(cells: Sequence[str]) -> tuple[int, int]:
    return to_id(cells[0], "referrer_id"), to_id(cells[1], "referred_id")


def to_id(text: str, what: str = "id") -> int:
    """Read a Discord id. Raises CashbackError if it is not valid."""
    digits = text.strip()
    if len(digits) <= LONGEST_ID and digits.isdigit() and digits.isascii():
        number = int(digits)
        if 0 < number <= LARGEST_ID:
            return number
    raise CashbackError(f"{what} {text[:VALUE_SHOWN]!r} is not a Discord id (a whole number from 1 to {LARGEST_ID})")


def check_order_id(text: str, what: str = "order_id") -> str:
    """Return a shop's id without the spaces around it. Raises CashbackError if it is not valid."""
    order_id = text.strip()
    if not order_id or len(order_id) > LONGEST_ORDER_ID or not order_id.isprintable():
        raise CashbackError(
            f"{what} {text[:VALUE_SHOWN]!r} is not a shop's id (1 to {LONGEST_ORDER_ID} printable characters)"
        )
    return order_id


def _to_moment(text: str) -> datetime | None:
    """Read an ISO date or datetime; without a zone it is UTC, and if it is empty there is no moment."""
    stripped = text.strip()
    if not stripped:
        return None
    try:
        moment = datetime.fromisoformat(stripped)
        if moment.year > LAST_YEAR:
            raise ValueError  # noqa: TRY301 -- the same refusal
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CashbackError(
            f"purchased_at {text[:VALUE_SHOWN]!r} is not an ISO date or datetime, for example 2025-01-31T15:00:00Z"
        ) from error
