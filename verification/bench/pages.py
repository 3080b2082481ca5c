"""The dashboard's pages over a long history, each from request to the last byte, by the client's clock.

The baseline is the same request for `/healthz`, which reads nothing: its time is the server's and the machine's.
"""

import gc
import time
from pathlib import Path
from typing import Final

import aiohttp
import anyio

from verification.bench.dashboard_server import opened
from verification.bench.datasets import FIRST_REFERRER, history
from verification.bench.measuring import Case

LOOKS: Final = 20
PAGE_SECONDS: Final = 0.050

PAGES: Final = {
    "overview": "/",
    "batches": "/batches",
    "batch": f"/batches/5?after={FIRST_REFERRER + 5_000}",
    "batch, failed only": "/batches/5?status=failed",
    "batch, credited only": "/batches/5?status=credited",
    "referrers, pending": f"/referrers?after={FIRST_REFERRER + 5_000}",
    "referrers, all": f"/referrers?show=all&after={FIRST_REFERRER + 5_000}",
    "referrers, blacklisted": "/referrers?show=blacklisted",
    "one referrer": f"/referrers/{FIRST_REFERRER + 5_000}",
    "schedule": "/schedule",
    "audit log": "/audit",
}


async def _look(path: Path, pages: dict[str, str]) -> dict[str, float]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with opened(path) as office, aiohttp.ClientSession(cookie_jar=jar) as client:
        await office.sign_in(client)
        return {name: await _slowest(client, office.address + where) for name, where in pages.items()}


async def _slowest(client: aiohttp.ClientSession, address: str) -> float:
    """Load a page repeatedly; the first time, which compiles statements and templates, is not counted."""
    seconds = []
    for _ in range(LOOKS + 1):
        start = time.perf_counter()
        async with client.get(address) as answer:
            await answer.read()
            answer.raise_for_status()
        seconds.append(time.perf_counter() - start)
    return max(seconds[1:])


def look(path: Path) -> dict[str, float]:
    """Load each page, and return its slowest time; imported modules are frozen out of the collector, as in the bot."""
    gc.freeze()
    return anyio.run(_look, path, PAGES)


def look_raw(path: Path) -> dict[str, float]:
    """Load a page without queries as many times."""
    return anyio.run(_look, path, dict.fromkeys(PAGES, "/healthz"))


def cases(*, full: bool) -> list[Case]:
    """Load each page."""
    return [
        Case(
            name="dashboard",
            rows=1_000_000 if full else 100_000,
            prepare=history,
            program=look,
            baseline=look_raw,
            seconds=dict.fromkeys(PAGES, PAGE_SECONDS),
            rounds=2,
        )
    ]
