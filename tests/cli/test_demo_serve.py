"""`cashback demo --serve` prints addresses that work, and what to try first."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import anyio
import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 60

pytestmark = pytest.mark.anyio


class Served:
    """The running demo, and what it printed."""

    def __init__(self, process: anyio.abc.Process, printed: str) -> None:
        self.process = process
        self.printed = printed

    def address(self, name: str) -> str:
        """Return the address that was printed next to a name."""
        [found] = re.findall(rf"^  {re.escape(name)} +(http\S+)$", self.printed, re.MULTILINE)
        return str(found)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def served(folder: Path) -> AsyncIterator[Served]:
    command = [sys.executable, "-m", "cli", "demo", "--serve"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CASHBACK_DATABASE": "nowhere/at/all.db"}
    async with await anyio.open_process(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stderr=None
    ) as process:
        assert process.stdout is not None
        printed = ""
        with anyio.fail_after(SECONDS):
            while "Ctrl-C" not in printed:
                printed += (await process.stdout.receive()).decode()
        yield Served(process, printed)
        process.send_signal(signal.SIGINT)
        with anyio.fail_after(SECONDS):
            assert await process.wait() == 0
    assert [path async for path in anyio.Path(folder).iterdir()] == []


async def _view(session: aiohttp.ClientSession, address: str, path: str) -> aiohttp.ClientResponse:
    """Ask what the page at a printed address asks."""
    parts = urlsplit(address)
    return await session.get(
        f"{parts.scheme}://{parts.netloc}/chat/view/{path}", params=dict(parse_qsl(parts.fragment))
    )


async def test_printed_addresses_work_and_the_dashboard_signs_in(served: Served) -> None:
    for fact in ("What to try first", "!sendref-cashb in #admin and press Confirm", "/cashback show", "press Buy"):
        assert fact in served.printed, fact
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        link = served.address("The dashboard as admin")
        origin = link.partition("/sign-in")[0]
        async with session.post(link, headers={"Origin": origin}) as answer:
            assert (answer.status, str(answer.url)) == (200, f"{origin}/")
            assert "$127.50" in await answer.text()
        shop = served.address("The shop as friend-001")
        async with session.post(shop.replace("/?", "/buy?")) as answer:
            assert "order 1001, paid: counted" in await answer.text()
        async with session.get(f"{origin}/deliveries") as answer:
            assert "1001" in await answer.text()
        seen = {}
        for name in ("admin", "referrer-01"):
            chat = served.address(f"The chat as {name}")
            assert (await _view(session, chat, "messages")).status == 200
            overview = await (await _view(session, chat, "overview")).json()
            seen[name] = [each["name"] for each in overview["channels"]]
        assert seen == {"admin": ["general", "admin", "audit-log"], "referrer-01": ["general"]}


async def test_taken_port_is_named_in_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "cli", "demo", "--serve", "--port", str(port)]
        done = await anyio.run_process(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    [line] = done.stderr.decode().splitlines()
    assert line.startswith(f"error: Port {port} is not available")
    assert line.endswith("name another with --port.")


async def test_enter_makes_it_friday_and_the_friend_of_a_buyer_is_paid(served: Served) -> None:
    assert served.process.stdin is not None
    async with aiohttp.ClientSession() as session:
        shop = served.address("The shop as friend-001")
        async with session.post(shop.replace("/?", "/buy?")) as answer:
            assert "order 1001, paid: counted" in await answer.text()
        await served.process.stdin.send(b"\n")
        chat = served.address("The chat as referrer-01")
        member = dict(parse_qsl(urlsplit(chat).fragment))["member"]
        async with session.post(
            f"{chat.partition('/chat/')[0]}/chat/do/open-direct", json={"member": member}
        ) as opened:
            direct = (await opened.json())["channel"]
        with anyio.fail_after(SECONDS):
            text = ""
            while "Referral Cashback Received" not in text:
                async with await _view(session, re.sub(r"channel=\d+", f"channel={direct}", chat), "messages") as found:
                    text = await found.text()
    # What the 50 friends' purchases earned before, and 0.5% of $40.00.
    assert "$25.20" in text
