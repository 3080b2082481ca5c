"""A batch's payouts as CSV: the file that `cashback export` writes, sent in pieces."""

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


async def csv_of(database: Database, report: BatchReport) -> AsyncIterator[bytes]:
    """Yield the payouts of a batch as CSV in pieces: one row for each payout, without a row of totals."""
    with TemporaryDirectory(prefix="cashback-", dir=_folder_for(database)) as folder:
        path = Path(folder) / "payouts.csv"
        await database.read(exporting.write_file, Period(number=report.batch_number), path, with_totals=False)
        async with await anyio.open_file(path, "rb") as file:
            while piece := await file.read(PIECE_BYTES):
                yield piece
