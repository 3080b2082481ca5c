"""Deliveries of shops under load: a separate process delivers orders one at a time, at a shop's pace, during a batch.

It sends at fixed moments, whether it has a response or not, and measures from these moments, so that delays add up. The
baseline is the same shop on an idle program.
"""

import argparse
import gc
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp
import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from sandbox.shop import Order, sender_of
from verification.bench.dashboard_server import ADMIN, SECRET, SHOP, SHOP_KIND, opened
from verification.bench.datasets import FIRST_BUYER, history
from verification.bench.measuring import Case
from verification.bench.stopwatch import Spent

PER_SECOND: Final = 200
SECONDS: Final = 3
LONGEST_LINE: Final = 10_000
LONGEST_SECONDS: Final = 0.100
BUYERS: Final = 10_000


async def _deliver(address: str) -> dict[str, float]:
    """Deliver orders for some seconds, at a steady pace; return how long the answers took."""
    seconds: list[float] = []
    sender = sender_of(SHOP_KIND, SECRET, f"{address}/api/v1/shops/{SHOP}")
    async with aiohttp.ClientSession() as client, anyio.create_task_group() as tasks:

        async def send(number: int, due: float) -> None:
            order = Order(number=number, goods_cents=1_999, discord_id=FIRST_BUYER + number % BUYERS, at=_now())
            request = sender.paid(order, _now())
            async with client.post(sender.url, data=request.body, headers=request.headers) as answer:
                outcome = (await answer.json(content_type=None)).get("outcome")
            if outcome != "counted":
                raise RuntimeError(f"order {number} was {outcome}, not counted")
            seconds.append(time.perf_counter() - due)

        # A process compiles its statements with its first delivery.
        await send(0, time.perf_counter())
        seconds.clear()
        start = time.perf_counter()
        for number in range(1, SECONDS * PER_SECOND + 1):
            due = start + number / PER_SECOND
            await anyio.sleep(max(due - time.perf_counter(), 0))
            tasks.start_soon(send, number, due)
    ordered = sorted(seconds)
    return {"a delivery, 99%": ordered[int(len(ordered) * 0.99)], "a delivery, median": ordered[len(ordered) // 2]}


def _now() -> datetime:
    return datetime.now(UTC)


async def _serve(path: Path, *, pays: bool) -> dict[str, Spent | float]:
    """Serve on one core, and let the shop's process have the others."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    command = [sys.executable, "-m", "verification.bench.shop_load", *map(str, sorted(cores))]
    async with opened(path) as office, await anyio.open_process(command, stderr=None) as shop:
        if shop.stdin is None or shop.stdout is None:
            raise RuntimeError("the shop's process has no pipes")
        said = BufferedByteReceiveStream(shop.stdout)
        await said.receive_until(b"\n", LONGEST_LINE)
        if pays:
            summary = await office.service.propose(ADMIN)
            await office.service.approve(ADMIN, summary.batch_number)
        before = time.process_time()
        await shop.stdin.send(f"{office.address}\n".encode())
        found: dict[str, float] = json.loads(await said.receive_until(b"\n", LONGEST_LINE))
        cpu_seconds = time.process_time() - before
        if pays and not office.runner.unsettled:
            raise RuntimeError("the batch was over before the shop was done: the figures are of a quiet ledger")
        return {**found, "all of them": Spent(seconds=SECONDS, cpu_seconds=cpu_seconds)}


async def _while_paying(path: Path) -> dict[str, Spent | float]:
    return await _serve(path, pays=True)


async def _in_quiet(path: Path) -> dict[str, Spent | float]:
    return await _serve(path, pays=False)


def while_paying(path: Path) -> dict[str, Spent | float]:
    """Take in deliveries while a batch is paid; imported modules are frozen out of the collector, as in the bot."""
    gc.freeze()
    return anyio.run(_while_paying, path)


def in_quiet(path: Path) -> dict[str, Spent | float]:
    """Take in the same deliveries on an idle program."""
    gc.freeze()
    return anyio.run(_in_quiet, path)


def cases(*, full: bool) -> list[Case]:  # noqa: ARG001 -- a smaller batch is paid before the shop is done
    """Take in deliveries while a batch for all 100,000 referrers of a history is paid."""
    return [
        Case(
            name="deliveries",
            rows=1_000_000,
            prepare=history,
            program=while_paying,
            baseline=in_quiet,
            seconds={"a delivery, 99%": LONGEST_SECONDS},
            rounds=1,
        )
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Deliver orders to the address that is read.")
    parser.add_argument("cores", type=int, nargs="+", help="the cores to run on")
    os.sched_setaffinity(0, parser.parse_args().cores)
    print("ready", flush=True)
    print(json.dumps(anyio.run(_deliver, input())), flush=True)
