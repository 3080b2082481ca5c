"""Browsing and exporting: pages of batches and payouts as Discord shows them, and the export.

The pages' baseline reads the rows that they show; the export's reads every payout with its message and its transaction,
and writes them as they come, without dollars, ISO times or protection from formulas.
"""

import csv
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import anyio

from cashback.cogs.buttons.history_pager import BATCHES_SHOWN, PAYOUTS_SHOWN, HistoryPager
from cashback.database import Database
from cashback.database.queries import exporting
from cashback.database.queries.exporting import Period
from cashback.database.queries.history import BatchFilter
from verification.bench.datasets import FIRST_REFERRER, history, open_raw
from verification.bench.measuring import Case

LOOKS: Final = 20
PAGE_SECONDS: Final = 0.050
ROWS_PER_SECOND: Final = 100_000
MIDDLE: Final = 5
"""The batch to look at, and the tenths of it that come before its page."""

EXPORT: Final = (
    "SELECT b.batch_id, p.*, n.status, t.id FROM cashback_payouts p JOIN cashback_payout_batches b ON b.number ="
    " p.batch_number"
    " LEFT JOIN cashback_notifications n ON n.batch_number = p.batch_number AND n.user_id = p.referrer_id"
    " LEFT JOIN wallet_transactions t ON t.cashback_payout_batch_number = p.batch_number AND t.user_discord_id ="
    " p.referrer_id"
    " WHERE p.batch_number = ? ORDER BY p.referrer_id"
)


def _middle(path: Path) -> int:
    connection = open_raw(path)
    [(referrers,)] = connection.execute("SELECT planned_count FROM cashback_payout_batches WHERE number = ?", (MIDDLE,))
    connection.close()
    return int(FIRST_REFERRER + referrers * MIDDLE // 10)


async def _look(path: Path) -> dict[str, float]:
    after = _middle(path)
    async with Database(path) as database:
        browser = HistoryPager(database)
        return {
            "history": await _slowest(lambda: browser.history(BatchFilter(), 1)),
            "history of one user": await _slowest(lambda: browser.history(BatchFilter(user_id=after), 1)),
            "show": await _slowest(lambda: browser.payouts(MIDDLE, after)),
        }


async def _slowest(look: Callable[[], Awaitable[object]]) -> float:
    """Repeat a query; the first time, which compiles the statements, is not counted: a bot has run for a while."""
    await look()
    seconds = []
    for _ in range(LOOKS):
        start = time.perf_counter()
        await look()
        seconds.append(time.perf_counter() - start)
    return max(seconds)


def look(path: Path) -> dict[str, float]:
    """Build each page, and return the slowest time of each."""
    return anyio.run(_look, path)


def look_raw(path: Path) -> dict[str, float]:
    """Read the rows of the same pages."""
    after = _middle(path)
    connection = open_raw(path)
    newest = "SELECT * FROM cashback_payout_batches b WHERE {} ORDER BY number DESC LIMIT ?"
    of_one = "EXISTS (SELECT 1 FROM cashback_payouts p WHERE p.batch_number = b.number AND p.referrer_id = ?)"
    page = "SELECT * FROM cashback_payouts WHERE batch_number = ? AND referrer_id > ? ORDER BY referrer_id LIMIT ?"
    statements = {
        "history": (newest.format("true"), (BATCHES_SHOWN + 1,)),
        "history of one user": (newest.format(of_one), (after, BATCHES_SHOWN + 1)),
        "show": (page, (MIDDLE, after, PAYOUTS_SHOWN + 1)),
    }
    found = {}
    for name, (statement, values) in statements.items():
        seconds = []
        for _ in range(LOOKS):
            start = time.perf_counter()
            connection.execute(statement, values).fetchall()
            seconds.append(time.perf_counter() - start)
        found[name] = max(seconds)
    connection.close()
    return found


async def _export(path: Path) -> float:
    async with Database(path) as database:
        start = time.perf_counter()
        await database.read(exporting.write_file, Period(), path.with_suffix(".csv"), with_totals=True)
        return time.perf_counter() - start


def export(path: Path) -> dict[str, float]:
    """Export every payout."""
    return {"": anyio.run(_export, path)}


def export_raw(path: Path) -> dict[str, float]:
    """Read the same rows and write them as they come."""
    connection = open_raw(path)
    start = time.perf_counter()
    with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for (number,) in connection.execute("SELECT number FROM cashback_payout_batches ORDER BY number").fetchall():
            writer.writerows(connection.execute(EXPORT, (number,)))
    seconds = time.perf_counter() - start
    connection.close()
    return {"": seconds}


def cases(*, full: bool) -> list[Case]:
    """Browse a history, and export it."""
    payouts = 1_000_000 if full else 100_000
    return [
        Case(
            name="pages of a history",
            rows=payouts,
            prepare=history,
            program=look,
            baseline=look_raw,
            seconds=dict.fromkeys(("history", "history of one user", "show"), PAGE_SECONDS),
            reads_only=True,
            rounds=2,
        ),
        Case(
            name="export",
            rows=payouts,
            prepare=history,
            program=export,
            baseline=export_raw,
            seconds={"": payouts / ROWS_PER_SECOND},
            reads_only=True,
            rounds=2,
        ),
    ]
