"""Concurrent processes on one file: they propose, confirm, pay, stop, resume and retry, in parallel to a busy shop.

This is what one process does; `verification/crash/concurrency.py` starts them.
"""

import functools
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.dialect import Location
from cashback.database.payouts import approvals, batches, proposals, retries, runs
from cashback.domain.errors import NothingPendingError, StaleBatchError
from cashback.domain.model import BatchStatus
from cashback.domain.ports import NullObserver, utc_now
from pipeline.messages import RunBatch
from pipeline.runner import explain
from stages import make_pipeline

Order = tuple[str, int, int]
"""The shop's report: order id, buyer, cents."""


class Witness:
    """Records what a user would have seen, and how long the longest action took."""

    def __init__(self) -> None:
        self.refusals = 0
        self.errors: list[str] = []
        self.longest_seconds = 0.0

    async def see(self, action: Callable[[], Awaitable[Any]]) -> None:
        """Act; losing a race to another process is a valid answer, every other failure is an error."""
        began = time.perf_counter()
        try:
            await action()
        except* (NothingPendingError, StaleBatchError):
            self.refusals += 1
        except* Exception as error:  # noqa: BLE001 -- every error that would reach a user is recorded
            self.errors.append(explain(error))
        self.longest_seconds = max(self.longest_seconds, time.perf_counter() - began)


def pay_in_rounds(location: str, rounds: int, testimony: str) -> None:
    """Run a payer: in each round propose, decide every waiting batch, run every unfinished one."""
    _testify(functools.partial(_pay_in_rounds, location, rounds), testimony)


def log_purchases(location: str, orders: list[Order], testimony: str) -> None:
    """Run the shop: log every order, each one twice."""
    _testify(functools.partial(_log_purchases, location, orders), testimony)


def _testify(work: Callable[[Witness], Awaitable[None]], testimony: str) -> None:
    """Do the work, and write seconds, refusals, and each error on a line to the file `testimony`."""
    logging.disable(logging.CRITICAL)
    witness = Witness()
    try:
        anyio.run(work, witness)
    except BaseException:
        witness.errors.append(" ".join(traceback.format_exc().split()))
        raise
    finally:
        lines = [f"{witness.longest_seconds:.3f}", str(witness.refusals), *witness.errors]
        Path(testimony).write_text("\n".join(lines), encoding="utf-8")


async def _pay_in_rounds(location: str, rounds: int, witness: Witness) -> None:
    async with Database(location) as database:
        for number in range(rounds):
            await witness.see(functools.partial(_propose, database))
            await _decide(database, witness, stopping=number % 2 == 1)
            for unfinished in await database.read(batches.unfinished):
                await witness.see(functools.partial(_run, database, unfinished))


async def _decide(database: Database, witness: Witness, *, stopping: bool) -> None:
    """Do to each batch what its state asks for, and in every second round stop running ones."""
    acts: dict[str, Callable[[Database, int], Awaitable[Any]]] = {
        BatchStatus.PROPOSED: _approve,
        BatchStatus.STOPPED: _resume,
        BatchStatus.COMPLETED_WITH_FAILURES: _retry,
    }
    if stopping:
        acts[BatchStatus.RUNNING] = _stop
    for batch in await database.read(batches.history, limit=20):
        if batch["status"] in acts:
            await witness.see(functools.partial(acts[batch["status"]], database, batch["number"]))


async def _propose(database: Database) -> None:
    await database.write(proposals.propose, actor="crowd", now=utc_now(), expires_at=None)


async def _approve(database: Database, number: int) -> None:
    await database.write(approvals.approve, number, actor="crowd", now=utc_now())


async def _stop(database: Database, number: int) -> None:
    await database.write(runs.stop, number, actor="crowd", now=utc_now())


async def _resume(database: Database, number: int) -> None:
    await database.write(runs.resume, number, actor="crowd", now=utc_now())


async def _retry(database: Database, number: int) -> None:
    await database.write(retries.begin, number, actor="crowd", why=None, now=utc_now())


async def _run(database: Database, number: int) -> None:
    request = RunBatch(batch_number=number)
    await make_pipeline(request, database=database, observer=NullObserver(), outbox_changed=WakeUp(), chunk_size=3).run(
        request
    )


async def _log_purchases(location: str, orders: list[Order], witness: Witness) -> None:
    async with Database(location) as database:
        for order_id, buyer_id, amount_cents in orders:
            for _ in range(2):
                await witness.see(
                    functools.partial(database.log_referral_purchase, buyer_id, order_id, amount_cents, 100)
                )


async def pay_the_rest(location: Location) -> None:
    """Pay what the processes have left: stopped, unfinished or failed batches, then pending cashback."""
    witness = Witness()
    async with Database(location) as database:
        await witness.see(functools.partial(_propose, database))
        for _ in range(2):  # Failures of the first round are retried in the second.
            await _decide(database, witness, stopping=False)
            for number in await database.read(batches.unfinished):
                await _run(database, number)
