"""An import of purchases from a CSV file against raw `executemany` of the rows that it writes, in the same chunks.

The baseline neither reads the file nor checks for known orders, and has computed the earnings beforehand.
"""

import csv
import gc
import io
import random
import sqlite3
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Final

from cli import app, import_, import_run
from cli.context import Place
from verification.bench.datasets import FIRST_BUYER, NOW, REFERRALS_EACH, SEED, all_pending, open_raw
from verification.bench.measuring import Case
from verification.bench.stopwatch import Spent, stopwatch

TIMES_BASELINE: Final = 1 / 0.6
"""0.6 of its speed."""
RATE_PPM: Final = 5_000

PRICES: Final = 8_209
"""Distinct prices, as many as 70,000 orders of a shop for CDs had."""

Bought = tuple[str, int, int]
"""Order, buyer, cents."""


def _purchases(path: Path, *, mixed: bool) -> list[Bought]:
    """Let every referred member buy once, in the order of the orders or in any."""
    connection = open_raw(path)
    [(buyers,)] = connection.execute("SELECT count(*) FROM referrals")
    connection.close()
    bought = [(f"again-{n:010}", FIRST_BUYER + n, 199 + n % PRICES) for n in range(buyers)]
    if mixed:
        random.Random(SEED).shuffle(bought)
    return bought


def _write_file(path: Path, *, mixed: bool) -> Path:
    """Write the purchases into a file; their list is gone before the import, whose memory is measured."""
    file = path.with_suffix(".csv")
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(("order_id", "buyer_id", "amount"))
        writer.writerows(
            (order, buyer, f"{cents // 100}.{cents % 100:02}") for order, buyer, cents in _purchases(path, mixed=mixed)
        )
    return file


def import_file(path: Path, *, mixed: bool) -> dict[str, Spent]:
    """Write the purchases into a file, then import it."""
    file = _write_file(path, mixed=mixed)
    said = io.StringIO()
    # As the command does at its start.
    gc.set_threshold(app.COLLECT_AFTER)
    with redirect_stdout(said), redirect_stderr(said), stopwatch() as spent:
        code = import_.import_files(
            Place(database=str(path)), purchases=file, referrals=None, strict=False, as_json=True
        )
    if code:
        raise ValueError(said.getvalue())
    return {"": spent}


def insert_raw(path: Path, *, mixed: bool) -> dict[str, Spent]:
    """Write the same rows, and what they earn."""
    purchases = _purchases(path, mixed=mixed)
    connection = open_raw(path)
    with stopwatch() as spent:
        for first in range(0, len(purchases), import_run.CHUNK_ROWS):
            _write_chunk(connection, purchases[first : first + import_run.CHUNK_ROWS])
    connection.close()
    return {"": spent}


def _write_chunk(connection: sqlite3.Connection, chunk: Sequence[Bought]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO cashback_referral_purchases (order_id, buyer_id, referral_id, amount_cents, rate_ppm,"
        " earned_cents, purchased_at, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (order, buyer, buyer - FIRST_BUYER + 1, cents, RATE_PPM, cents * RATE_PPM // 10**6, NOW, NOW)
            for order, buyer, cents in chunk
        ],
    )
    connection.executemany(
        "UPDATE referrals SET referred_total_spend_cents = referred_total_spend_cents + ?, cashback_earned_cents ="
        " cashback_earned_cents + ?, cashback_carry_ppm = ? WHERE id = ?",
        [
            (cents, cents * RATE_PPM // 10**6, cents * RATE_PPM % 10**6, buyer - FIRST_BUYER + 1)
            for _, buyer, cents in chunk
        ],
    )
    connection.execute("COMMIT")


def cases(*, full: bool) -> list[Case]:
    """Import one purchase for each referral; small enough for many rounds, some of them undisturbed."""
    return [
        Case(
            name=f"import, {REFERRALS_EACH} each{', in any order' if mixed else ''}",
            rows=referrers,
            prepare=all_pending,
            program=partial(import_file, mixed=mixed),
            baseline=partial(insert_raw, mixed=mixed),
            cpu_times={"": TIMES_BASELINE},
            rounds=rounds,
        )
        for referrers, rounds in [(100_000, 5)] + ([(333_334, 3)] if full else [])
        for mixed in (False, True)
    ]
