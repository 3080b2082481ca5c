"""A batch's payouts as CSV or XLSX: the file that `cashback export` writes, sent in pieces."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

import anyio

from cashback.database import Database
from cashback.database.queries import exporting
from cashback.database.queries.exporting import Period
from cashback.domain.model import BatchReport

PIECE_BYTES: Final = 65_536


def _folder_for(database: Database) -> Path | None:
    """Return the ledger's folder if there is none for temporary files, None for that one."""
    try:
        gettempdir()
    except FileNotFoundError:
        return database.folder
    return None


CONTENT_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The kinds of file by the ends of their names."""


async def pieces_of(database: Database, report: BatchReport, suffix: str) -> AsyncIterator[bytes]:
    """Yield the file of a batch's payouts in pieces: one row for each payout, without a row of totals."""
    with TemporaryDirectory(prefix="cashback-", dir=_folder_for(database)) as folder:
        path = Path(folder) / f"payouts.{suffix}"
        await database.read(exporting.write_file, Period(number=report.batch_number), path, with_totals=False)
        async with await anyio.open_file(path, "rb") as file:
            while piece := await file.read(PIECE_BYTES):
                yield piece
