"""The intake under load: a shop, a separate process, reports purchases in bulk, at its pace, while a batch is paid.

It sends at fixed moments, whether it has a response or not, and measures from these moments, so that delays add up. The
baseline is the same shop on an idle program.
"""

import argparse
import gc
import json
import sys
import time
from pathlib import Path
from typing import Final

import aiohttp
import anyio

from verification.bench.dashboard_server import ADMIN, opened, signed
from verification.bench.datasets import FIRST_BUYER, history
from verification.bench.measuring import Case

PER_SECOND: Final = 2_000
IN_A_REQUEST: Final = 100
LONGEST_SECONDS: Final = 0.100
SECONDS: Final = 2
BUYERS: Final = 10_000


async def _report(address: str) -> dict[str, float]:
    """Send a shop's purchases of some seconds, at its pace; return how long requests, and all together, took."""
    seconds: list[float] = []
    requests = SECONDS * PER_SECOND // IN_A_REQUEST
    async with aiohttp.ClientSession() as client, anyio.create_task_group() as tasks:
        start = time.perf_counter()

        async def send(number: int, due: float) -> None:
            first = number * IN_A_REQUEST
            body, headers = signed(
                {
                    "purchases": [
                        {"order_id": f"shop-{n}", "buyer_id": str(FIRST_BUYER + n % BUYERS), "amount_cents": 1_999}
                        for n in range(first, first + IN_A_REQUEST)
                    ]
                }
            )
            async with client.post(f"{address}/api/v1/purchases", data=body, headers=headers) as answer:
                await answer.read()
                answer.raise_for_status()
            seconds.append(time.perf_counter() - due)

        for number in range(requests):
            due = start + number * IN_A_REQUEST / PER_SECOND
            await anyio.sleep(max(due - time.perf_counter(), 0))
            tasks.start_soon(send, number, due)
    lasted = time.perf_counter() - start
    return {
        "a request, 99%": sorted(seconds)[int(len(seconds) * 0.99)],
        "a request, median": sorted(seconds)[len(seconds) // 2],
        "1,000 purchases": lasted / (requests * IN_A_REQUEST) * 1_000,
    }


async def _serve(path: Path, *, pays: bool) -> dict[str, float]:
    async with opened(path) as office:
        if pays:
            summary = await office.service.propose(ADMIN)
            await office.service.approve(ADMIN, summary.batch_number)
        ran = await anyio.run_process(
            [sys.executable, "-m", "verification.bench.intake_load", office.address], stderr=None
        )
        if pays and not office.runner.unsettled:
            raise RuntimeError("the batch was over before the shop was done: the figures are of a quiet ledger")
        found: dict[str, float] = json.loads(ran.stdout)
        return found


async def _while_paying(path: Path) -> dict[str, float]:
    return await _serve(path, pays=True)


async def _in_quiet(path: Path) -> dict[str, float]:
    return await _serve(path, pays=False)


def while_paying(path: Path) -> dict[str, float]:
    """Take in purchases while a batch is paid; imported modules are frozen out of the collector, as in the bot."""
    gc.freeze()
    return anyio.run(_while_paying, path)


def in_quiet(path: Path) -> dict[str, float]:
    """Take in the same purchases on an idle program."""
    gc.freeze()
    return anyio.run(_in_quiet, path)


def cases(*, full: bool) -> list[Case]:
    """Take in purchases while a batch for every referrer of a history is paid: 100,000 with `full`."""
    return [
        Case(
            name="intake",
            rows=1_000_000 if full else 500_000,
            prepare=history,
            program=while_paying,
            baseline=in_quiet,
            seconds={"a request, 99%": LONGEST_SECONDS, "1,000 purchases": 1.02 * 1_000 / PER_SECOND},
            rounds=1,
        )
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Report purchases to the intake at an address.")
    parser.add_argument("address")
    print(json.dumps(anyio.run(_report, parser.parse_args().address)))
