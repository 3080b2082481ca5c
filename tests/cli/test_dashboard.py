"""`cashback dashboard`: a browser on the ledger, for the person at this machine."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import aiohttp
import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from tests.cli.conftest import Cashback
from tests.conftest import rows

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


async def test_printed_link_gives_read_only_access(seeded: Cashback, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli", "dashboard"]
    printed = ""
    async with await anyio.open_process(command, cwd=folder, env=environment) as process:
        assert process.stdout is not None
        with anyio.fail_after(20):
            async for text in TextReceiveStream(process.stdout):
                printed += text
                if "Ctrl-C" in printed:
                    break
        [link] = re.findall(r"http://127\.0\.0\.1:[0-9]+/sign-in/[\w-]+", printed)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            async with browser.post(link) as answer:
                assert answer.status == 200
                text = await answer.text()
            assert "$127.50" in text
            assert "view only" in text
            proof = re.findall(r'name="form_token" value="(\w+)"', text)[0]
            async with browser.post(f"{link.partition('/sign-in')[0]}/batches", data={"form_token": proof}) as answer:
                assert answer.status == 403
        process.send_signal(signal.SIGINT)
        with anyio.fail_after(10):
            assert await process.wait() == 0
    assert rows(folder / "cashback.db", "SELECT 1 FROM cashback_payout_batches") == []
