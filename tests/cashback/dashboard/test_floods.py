"""Floods of connections, slow requests and log lines: shops, health checks and Discord keep what they need."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pytest
from anyio.abc import SocketStream

from cashback.dashboard.connections import (
    ADDRESS_SHARE,
    HEALTH_RESERVE,
    MAX_CONNECTIONS,
    Connections,
    max_connections,
)
from cashback.dashboard.listener import Listener
from cashback.dashboard.request_log import RequestLog
from tests.cashback.dashboard.conftest import Browser, DashboardFixture, Guild, dashboard_settings, serving, signed
from tests.conftest import Clock, LedgerFixture

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
FLOOD = 200
BURST = 300
KERNELS_OWN_LIMIT = int(Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii"))
REPORT = json.dumps({"order_id": "o-1", "buyer_id": "284651237461238461", "amount_cents": 100_000}).encode()


class FakeTransport(asyncio.WriteTransport):
    """A transport without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self._is_closed = False

    def abort(self) -> None:
        """Close it."""
        self._is_closed = True

    def is_closing(self) -> bool:
        """Return whether it is closed."""
        return self._is_closed


@asynccontextmanager
async def flood(site: DashboardFixture, count: int, sent: bytes = b"") -> AsyncIterator[list[SocketStream]]:
    """Hold connections open, each with the same bytes sent and nothing after them."""
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(count):
            stream = await anyio.connect_tcp("127.0.0.1", site.settings.dashboard.port)
            streams.append(await stack.enter_async_context(stream))
            if sent:
                await stream.send(sent)
        yield streams


def slow_report(clock: Clock, key: str) -> bytes:
    """Return a report's headers with an invented signature, and the beginning of its body."""
    headers = {**signed(REPORT, at=clock(), key=key, secret="x" * 40), "Host": "x", "Content-Length": "400000"}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(["POST /api/v1/purchases HTTP/1.1", *lines, "", "{"]).encode()


async def report(site: DashboardFixture, clock: Clock) -> int:
    """Send a shop's report; return the status."""
    clock.advance(1)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{site.address}/api/v1/purchases", data=REPORT, headers=signed(REPORT, at=clock())) as answer,
    ):
        return answer.status


async def ended(stream: SocketStream) -> bytes:
    """Read a connection until the server closes it."""
    received = b""
    with anyio.fail_after(10):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


@pytest.mark.parametrize("key", ["invented", "shop"])
async def test_slow_bodies_without_signature_leave_slots_for_a_shop(
    site: DashboardFixture, clock: Clock, key: str
) -> None:
    async with flood(site, FLOOD, slow_report(clock, key)):
        with anyio.fail_after(10):
            assert [await report(site, clock) for _ in range(20)] == [200] * 20


async def test_invented_keys_do_not_lock_out_a_shop_at_the_same_address(site: DashboardFixture, clock: Clock) -> None:
    async with aiohttp.ClientSession() as session:
        for number in range(70):
            headers = signed(REPORT, at=clock(), key=f"invented-{number}")
            async with session.post(f"{site.address}/api/v1/purchases", data=REPORT, headers=headers) as answer:
                assert answer.status == (401 if number < 60 else 429)
    assert await report(site, clock) == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["silent", "half-headers"])
async def test_connections_without_requests_leave_room_for_others(
    site: DashboardFixture, clock: Clock, sent: bytes
) -> None:
    async with flood(site, FLOOD, sent), site.stranger() as browser:
        with anyio.fail_after(10):
            assert (await browser.get("/healthz"))[0] == 200
            assert (await browser.get("/readyz"))[0] == 200
            assert (await browser.get("/sign-in"))[0] == 200
            assert await report(site, clock) == 200


async def test_burst_of_connections_waits_in_the_queue_instead_of_being_dropped() -> None:
    """A dropped attempt is repeated after a second, three and seven: a shop behind a flood would wait that long."""
    listener = Listener(Connections(is_proxied=False), asyncio.Protocol, RequestLog())
    [listening] = await listener.bind("127.0.0.1", 0)
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        with anyio.fail_after(10):
            for _ in range(min(BURST, KERNELS_OWN_LIMIT)):
                await stack.enter_async_context(await anyio.connect_tcp(*listening.getsockname()))


async def test_flood_of_one_address_closes_its_own_connections_and_keeps_the_limits() -> None:
    connections = Connections(is_proxied=False)
    transports: dict[str, list[asyncio.BaseTransport]] = {"flood": [], "shop": []}
    for number in range(2 * MAX_CONNECTIONS):
        address = "shop" if number % 20 == 0 else "flood"
        assert connections.make_room(address)
        transports[address].append(transport := FakeTransport())
        connections.add(transport, address)
        assert len(list(connections)) <= MAX_CONNECTIONS + HEALTH_RESERVE
    open_ones = [each for each in transports["flood"] if not each.is_closing()]
    assert len(open_ones) <= MAX_CONNECTIONS // ADDRESS_SHARE + HEALTH_RESERVE
    assert open_ones[-1] is transports["flood"][-1]
    assert not any(each.is_closing() for each in transports["shop"])


async def test_flood_keeps_live_pages_open(site: DashboardFixture) -> None:
    async with site.signed_in() as browser, browser.session.get(f"{site.address}/live") as live:
        assert live.status == 200
        await live.content.readline()
        async with flood(site, FLOOD):
            await site.ledger.earn(5, 100)
            await site.dashboard._snapshot._overviews.renew("ledger")
            with anyio.fail_after(10):
                while b"$1.00" not in await live.content.readline():
                    pass


async def test_health_answers_when_all_requests_are_taken(
    ledger: LedgerFixture, guild: Guild, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cashback.dashboard.connections.MAX_CONNECTIONS", HEALTH_RESERVE)
    async with (
        serving(ledger.database, dashboard_settings(ledger.path), guild, ledger) as site,
        flood(site, HEALTH_RESERVE, slow_report(clock, "shop")),
        site.stranger() as browser,
    ):
        with anyio.fail_after(10):
            while (await browser.get("/sign-in"))[0] == 200:
                pass
        assert (await browser.get("/sign-in"))[0] == 503
        assert (await browser.get("/healthz"))[0] == 200
        assert (await browser.get("/readyz"))[0] == 200


async def test_connection_without_complete_headers_is_closed(
    site: DashboardFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cashback.dashboard.connections.HEADER_SECONDS", 0.1)
    async with flood(site, 1) as [silent], flood(site, 1, b"GET /healthz HTTP/1.1\r\nHost:") as [partial]:
        assert await ended(silent) == b""
        assert await ended(partial) == b""


async def test_idle_connection_is_closed(site: DashboardFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cashback.dashboard.connections.IDLE_SECONDS", 0.1)
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    # The next request's headers never end, so that the connection is not idle for the HTTP server itself.
    async with flood(site, 1, request + request[:-4]) as [stream]:
        assert (await ended(stream)).count(b"200 OK") == 1


async def test_slow_form_is_refused_with_408(site: DashboardFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cashback.dashboard.pages.FORM_SECONDS", 0.1)
    async with site.signed_in() as browser:
        cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in browser.session.cookie_jar)
        head = f"POST /batches HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\nContent-Length: 50\r\n"
        form = "Content-Type: application/x-www-form-urlencoded\r\n\r\nform_token="
        async with flood(site, 1, (head + form).encode()) as [stream]:
            assert b"408" in await ended(stream)


async def test_flood_of_bad_requests_writes_few_log_lines(
    site: DashboardFixture, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(FLOOD):
        async with flood(site, 1, b"GET / HTTP/9.9\r\nHost: x\r\nbroken\r\n\r\n") as [stream]:
            await ended(stream)
    async with site.stranger() as browser:
        for _ in range(FLOOD):
            await browser.post("/batches", csrf="guess")
        _, text = await browser.get("/metrics")
    # A flood may reach into a second minute.
    assert 0 < len(caplog.records) <= 130
    [dropped] = [line for line in text.splitlines() if line.startswith("cashback_dropped_log_lines ")]
    assert float(dropped.split()[1]) >= 2 * FLOOD - len(caplog.records)


async def test_log_lines_of_requests_contain_no_tokens(
    site: DashboardFixture, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.stranger() as browser:
        assert (await browser.post("/sign-in/a-secret-token?password=hunter2"))[0] == 403
    assert "/sign-in/{token} from 127.0.0.1: status 403" in caplog.text
    assert "a-secret-token" not in caplog.text
    assert "hunter2" not in caplog.text


def test_dropped_log_lines_are_reported_in_the_next_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = [60.0]
    monkeypatch.setattr("cashback.dashboard.request_log.time.monotonic", lambda: minutes[0])
    caplog.set_level(logging.INFO)
    log = RequestLog(per_minute=2)
    for number in range(5):
        log.warning("line %d", number)
    minutes[0] += 60
    log.report_dropped()
    log.report_dropped()
    assert caplog.messages == ["line 0", "line 1", "log lines about requests that were dropped: 3"]
    assert log.dropped == 3


def test_connections_use_at_most_half_of_the_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert max_connections() + HEALTH_RESERVE <= 128
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1_000_000), hard))
        assert max_connections() <= MAX_CONNECTIONS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_flood_leaves_descriptors_for_discord(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.cashback.dashboard.few_descriptors", str(tmp_path / "cashback.db")]
    process = subprocess.Popen(  # noqa: ASYNC220 -- our own module, and it starts at once
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await anyio.to_thread.run_sync(process.stdout.readline))
        async with AsyncExitStack() as stack:
            for _ in range(400):
                await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
            async with aiohttp.ClientSession() as session:
                with anyio.fail_after(10):
                    assert (await Browser(session, f"http://127.0.0.1:{port}").get("/healthz"))[0] == 200
                process.stdin.write("open\n")
                process.stdin.flush()
                with anyio.fail_after(10):
                    opened = await anyio.to_thread.run_sync(process.stdout.readline)
            assert opened == "opened 64\n"
    finally:
        _, errors = await anyio.to_thread.run_sync(process.communicate)
    assert process.returncode == 0, errors
    assert len(errors) < 100_000


async def test_flood_of_refused_requests_keeps_a_served_connection(site: DashboardFixture) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    refused = b"POST /sign-in/guess HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    async with flood(site, 1, request) as [served]:
        assert b"200 OK" in await served.receive()
        async with flood(site, FLOOD, refused):
            await served.send(request)
            with anyio.fail_after(10):
                assert b"200 OK" in await served.receive()
