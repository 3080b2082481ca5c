"""Nine processes on one file: every cent once, nobody waits for ever, and no locked database reaches a person."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from database import Database, reconciliation, referrals
from database.engine import BUSY_TIMEOUT_SECONDS
from database.purchases import Purchase, record_purchases
from pipeline.ports import utc_now
from soak.crash import context
from soak.crowd import Order, log_purchases, pay_in_rounds, pay_the_rest
from tests.conftest import ALL_OF_IT_PPM, FIRST_BUYER, rows

PAYERS = 8
ROUNDS = 4
REFERRERS = range(1, 31)
ORDERS: list[Order] = [(f"late-{n}", FIRST_BUYER + n % 30, 100 + n) for n in range(60)]
LONGEST_SECONDS = 45


class Seen(NamedTuple):
    longest_seconds: float
    refusals: int
    errors: list[str]


def _let_loose(folder: Path, path: Path, orders: list[Order]) -> list[Seen]:
    """Start eight payers and the shop at once; return what each has seen."""
    files = [folder / f"testimony-{n}" for n in range(PAYERS + 1)]
    processes = [
        context().Process(target=pay_in_rounds, args=(str(path), ROUNDS, str(file))) for file in files[:PAYERS]
    ]
    processes.append(context().Process(target=log_purchases, args=(str(path), orders, str(files[PAYERS]))))
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(LONGEST_SECONDS)
            assert process.exitcode == 0, "somebody waits for ever, or failed"
    finally:
        for process in processes:
            process.kill()
            process.join()
            process.close()
    testimonies = []
    for file in files:
        seconds, refusals, *errors = file.read_text(encoding="utf-8").split("\n")
        testimonies.append(Seen(float(seconds), int(refusals), errors))
    return testimonies


async def _fill(path: Path) -> None:
    purchases = [Purchase(order_id=f"early-{n}", buyer_id=FIRST_BUYER + n, amount_cents=n) for n in REFERRERS]
    async with Database(path) as database:
        await database.write(referrals.create_referrals, [(n, FIRST_BUYER + n) for n in REFERRERS], utc_now())
        await database.write(record_purchases, purchases, ALL_OF_IT_PPM, utc_now())


async def _verify(path: Path) -> tuple[str, ...]:
    async with Database(path) as database:
        return (await database.read(reconciliation.verify)).breaches


def test_nine_processes_on_one_file_pay_every_cent_once(tmp_path: Path) -> None:
    path = tmp_path / "crowd.db"
    anyio.run(_fill, path)
    testimonies = _let_loose(tmp_path, path, ORDERS)
    assert [error for testimony in testimonies for error in testimony.errors] == []
    assert max(testimony.longest_seconds for testimony in testimonies) < BUSY_TIMEOUT_SECONDS
    anyio.run(pay_the_rest, path)

    earned = {n: n for n in REFERRERS}
    for _, buyer, cents in ORDERS:
        if buyer - FIRST_BUYER in earned:
            earned[buyer - FIRST_BUYER] += cents
    balances = rows(path, "SELECT discord_id, wallet_balance_cents FROM users WHERE wallet_balance_cents > 0")
    assert dict(balances) == earned
    assert anyio.run(_verify, path) == ()
    finished = rows(path, "SELECT batch_number, count(*) FROM audit_log WHERE action = 'batch_finished' GROUP BY 1")
    assert [count for _, count in finished] == [1] * len(finished)
    assert rows(path, "SELECT count(*) FROM payout_batches WHERE status NOT IN ('completed')") == [(0,)]


def test_nine_processes_that_start_on_a_file_that_is_not_there_yet_share_it(tmp_path: Path) -> None:
    """The first start creates the schema; the others wait for it, and find it done."""
    testimonies = _let_loose(tmp_path, tmp_path / "new.db", [])
    assert [error for testimony in testimonies for error in testimony.errors] == []
    assert rows(tmp_path / "new.db", "SELECT count(*) FROM cashback_origin") == [(1,)]


def test_who_waits_longer_than_the_limit_is_told_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that never lets go is not ours; the limit is shortened, so that the test does not wait for it."""
    monkeypatch.setattr("database.engine.BUSY_TIMEOUT_SECONDS", 0.05)
    path = tmp_path / "held.db"
    anyio.run(_fill, path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(RuntimeError, match="is in use by another program; try again in a moment"):
        anyio.run(pay_the_rest, path)
    holder.close()
