"""A batch's payouts as CSV."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Final

from database import Database, batches
from pipeline.messages import BatchReport

COLUMNS: Final = ("referrer_id", "status", "approved_cents", "paid_cents", "referral_count", "reason", "settled_at")
ROWS_AT_ONCE: Final = 1_000


async def csv_of(database: Database, report: BatchReport) -> AsyncIterator[str]:
    """Write the payouts in the order of their referrers, some lines at a time. Moments are ISO 8601 in UTC."""
    yield _lines([COLUMNS])
    last = 0
    while True:
        rows = await database.read(batches.payouts_of, report.batch_number, limit=ROWS_AT_ONCE, after_referrer_id=last)
        if not rows:
            return
        yield _lines([[_cell(row[column]) for column in COLUMNS] for row in rows])
        last = rows[-1]["referrer_id"]


def _cell(value: object) -> str:
    text = "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
    # A spreadsheet takes a text that begins so for a formula.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _lines(rows: Sequence[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()
