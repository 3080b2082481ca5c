"""Files of withdrawals: the list for a bank or a mass payment, and its result with the references of the transfers."""

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cashback.domain.errors import CashbackError
from cashback.domain.extras import Library
from cashback.domain.harmless_cells import harmless
from cashback.shops.tables import BadRow, open_table

COLUMNS: Final = ("withdrawal", "member", "method", "to", "amount", "currency", "requested_at", "ledger")
NEEDED: Final = ("withdrawal", "reference")
FINISHED: Final = frozenset({"", "paid", "success", "completed", "complete", "done"})
"""What a result may call a transfer that was made; an empty cell too, because many files name no state."""

OWNER_ONLY: Final = 0o600
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A transfer that was made, by its line in the file.

    `amount`, `currency` and `member` are compared if the file has them; `ledger` names the list that it is of.
    """

    line: int
    withdrawal: int
    reference: str
    amount: str
    currency: str
    member: str
    ledger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMade:
    """A row of a transfer that was not made, by its line and state."""

    line: int
    state: str


@contextmanager
def new_list(path: Path) -> Iterator[None]:
    """Create the file of a list, which only its owner may read: it has addresses. If the body fails it is removed.

    Raises CashbackError if the file exists: a list that was sent to a bank is not written over.
    """
    if _is_workbook(path):
        Library.SPREADSHEETS.load("openpyxl")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY))
    except FileExistsError as error:
        raise CashbackError(f"{path} exists already; name another file.") from error
    except OSError as error:
        raise CashbackError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        yield
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CashbackError(f"{path} cannot be written: {error.strerror or error}.") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def write_list(path: Path, rows: Iterable[Sequence[str | int | None]]) -> None:
    """Write a list of withdrawals into its file: XLSX if the name ends so, else CSV."""
    cells = [[harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    if not _is_workbook(path):
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\r\n").writerows([COLUMNS, *cells])
        return
    book = Library.SPREADSHEETS.load("openpyxl").Workbook(write_only=True)
    sheet = book.create_sheet("withdrawals")
    for row in (COLUMNS, *cells):
        sheet.append([None if cell is None else str(cell) for cell in row])
    book.save(path)


def _is_workbook(path: Path) -> bool:
    return path.suffix.lower() == ".xlsx"


def read_result(path: Path) -> Iterator[Transfer | NotMade | BadRow]:
    """Read the transfers that were made, and those with another state than paid.

    Raises CashbackError if the file is not a table with the columns `withdrawal` and `reference`.
    """
    table = open_table(path, lambda columns: sum(name in columns for name in (*COLUMNS, *NEEDED)))
    for name in NEEDED:
        if name not in table.columns:
            raise CashbackError(f"{path} has no column {name}; it needs the columns {' and '.join(NEEDED)}.")
    for line, cells in table.rows():
        if isinstance(cells, BadRow):
            yield cells
            continue
        row = dict(zip(table.columns, (cell.strip() for cell in cells), strict=True))
        if row.get("status", "").lower() not in FINISHED:
            yield NotMade(line=line, state=row["status"])
        elif _NUMBER.fullmatch(row["withdrawal"]) is None:
            yield BadRow(line=line, reason=f"withdrawal {row['withdrawal'][:40]!r} is not a number of a withdrawal")
        elif not row["reference"]:
            yield BadRow(line=line, reason=f"withdrawal {row['withdrawal'][:20]} has no reference")
        else:
            yield Transfer(
                line=line,
                withdrawal=int(row["withdrawal"]),
                reference=row["reference"],
                amount=row.get("amount", ""),
                currency=row.get("currency", "").upper(),
                member=row.get("member", ""),
                ledger=row.get("ledger", "").lower(),
            )
