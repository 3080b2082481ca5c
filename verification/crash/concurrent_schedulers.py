"""Bots that trigger in the same second: each a process of its own, all on one file."""

import functools
import logging
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final

import anyio

from cashback.database import Database
from cashback.services import AdminService
from cashback.settings import Settings
from scheduler import Scheduler

BUYER: Final = 900_001
PURCHASE_CENTS: Final = 20_000
LONGEST_WAIT_SECONDS: Final = 30


def ring_together(path: str, slots: list[datetime], barrier: Barrier, testimony: str) -> None:
    """Run a bot: at each slot wait for the others, then trigger; write the numbers of the batches that it got.

    Before each slot every bot logs the same purchase, so that there is something to pay; it counts once.
    """
    logging.disable(logging.CRITICAL)
    got = anyio.run(_ring_together, Path(path), slots, barrier)
    Path(testimony).write_text("\n".join(map(str, got)), encoding="utf-8")


async def _ring_together(path: Path, slots: list[datetime], barrier: Barrier) -> list[int]:
    moment = slots[0] - timedelta(hours=1)
    submitted: list[int] = []

    def submit(number: int) -> int:
        submitted.append(number)
        return 0

    async def say_nothing(_line: str) -> None:
        """Post nothing: there is no audit channel."""

    async with Database(path, clock=lambda: moment) as database:
        scheduler = Scheduler(
            AdminService(database, Settings(), submit), database, post_line=say_nothing, wake=lambda: None
        )
        await scheduler.decide_due()
        for slot_at in slots:
            await database.log_referral_purchase(BUYER, f"order-{slot_at:%Y%m%d}", PURCHASE_CENTS)
            moment = slot_at
            await anyio.to_thread.run_sync(functools.partial(barrier.wait, LONGEST_WAIT_SECONDS))
            await scheduler.decide_due()
            await anyio.to_thread.run_sync(functools.partial(barrier.wait, LONGEST_WAIT_SECONDS))
    return submitted
