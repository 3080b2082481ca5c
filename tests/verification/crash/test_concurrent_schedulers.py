"""Two bots, one file, the same second: one slot is one batch, whichever triggers."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from pathlib import Path
from shutil import copyfile

import anyio

from cashback.database import Database
from tests.conftest import FRIDAY, Clock, rows
from verification.crash.concurrent_schedulers import BUYER, ring_together

SLOTS = [FRIDAY + timedelta(weeks=week) for week in range(20)]
REFERRER = 1_001
LONGEST_SECONDS = 50


async def _refer(path: Path) -> None:
    async with Database(path, clock=Clock()) as database:
        await database.create_referral(REFERRER, BUYER)


def test_simultaneous_triggers_make_one_batch_per_slot(tmp_path: Path, new_ledger: Path) -> None:
    path = tmp_path / "cashback.db"
    copyfile(new_ledger, path)
    anyio.run(_refer, path)
    forkserver = multiprocessing.get_context("forkserver")
    barrier = forkserver.Barrier(2)
    testimonies = [tmp_path / f"bot-{number}" for number in range(2)]
    bots = [
        forkserver.Process(target=ring_together, args=(str(path), SLOTS, barrier, str(testimony)))
        for testimony in testimonies
    ]
    for bot in bots:
        bot.start()
    try:
        for bot in bots:
            bot.join(LONGEST_SECONDS)
            assert bot.exitcode == 0
    finally:
        for bot in bots:
            bot.kill()
            bot.join()
            bot.close()
    numbers = [int(number) for testimony in testimonies for number in testimony.read_text(encoding="utf-8").split()]
    assert sorted(numbers) == list(range(1, 21))
    decided = rows(path, "SELECT slot_at, status, batch_number FROM cashback_schedule_slots ORDER BY slot_at")
    assert decided == [
        (f"{slot_at:%Y-%m-%d %H:%M:%S}.000000", "batched", number) for number, slot_at in enumerate(SLOTS, start=1)
    ]
    assert rows(path, "SELECT count(*) FROM cashback_payout_batches WHERE slot_at IS NOT NULL") == [(20,)]
