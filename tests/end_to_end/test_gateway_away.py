"""If only the gateway is down, the bot keeps working, tries again, and logs each attempt in one line."""

from __future__ import annotations

import contextlib
import logging

import anyio
import anyio.abc
import pytest
from yarl import URL

from sandbox import Sandbox
from tests.cashback.dashboard.conftest import free_port
from tests.end_to_end.conftest import DiscordFixture, until

pytestmark = pytest.mark.anyio


class Gate:
    """A proxy before the local Discord's gateway. While it is shut, it sends the given response."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._behind = URL(sandbox.gateway.url).port
        self.port = free_port()
        self.is_open = False
        self.answer = b""
        sandbox.gateway.url = f"ws://127.0.0.1:{self.port}/gateway"

    async def serve(self) -> None:
        """Listen until cancelled."""
        async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port) as listener:
            await listener.serve(self._answer)

    async def _answer(self, client: anyio.abc.SocketStream) -> None:
        async with client:
            if not self.is_open:
                await client.receive()
                await client.send(self.answer)
                return
            async with (
                await anyio.connect_tcp("127.0.0.1", self._behind or 0) as server,
                anyio.create_task_group() as ways,
            ):
                ways.start_soon(self._pass_on, client, server)
                ways.start_soon(self._pass_on, server, client)

    async def _pass_on(self, source: anyio.abc.SocketStream, target: anyio.abc.SocketStream) -> None:
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for piece in source:
                await target.send(piece)
        with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await target.send_eof()


@pytest.fixture
def gate(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Build a gate that is shut; the pauses between tries are short."""
    monkeypatch.setattr("cashback.cogs.gateway.running_check.GUILDS_SECONDS", 0.1)
    monkeypatch.setattr("cashback.cogs.gateway.websocket.FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("cashback.cogs.gateway.websocket.LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("discord.backoff.ExponentialBackoff.delay", lambda _: 0.01)
    return Gate(sandbox)


def tries(caplog: pytest.LogCaptureFixture, word: str) -> list[logging.LogRecord]:
    """List the log records of failed attempts to connect."""
    return [record for record in caplog.records if word in record.getMessage()]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="nobody listens"),
        pytest.param(b"", id="the connection drops"),
        pytest.param(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", id="out of service"),
        pytest.param(b"nonsense\r\n\r\n", id="not HTTP"),
    ],
)
async def test_gateway_away_at_the_start_is_tried_until_it_is_there(
    guild: DiscordFixture, gate: Gate, caplog: pytest.LogCaptureFixture, answer: bytes | None
) -> None:
    async with anyio.create_task_group() as tasks:
        if answer is not None:
            gate.answer = answer
            tasks.start_soon(gate.serve)
        async with guild.bot(connected=False):
            await until(lambda: len(tries(caplog, "gateway cannot be reached")) > 20)
            gate.is_open = True
            if answer is None:
                tasks.start_soon(gate.serve)
            await guild.sandbox.wait_connected()
            await until(lambda: "ready in" in caplog.text)
            assert (await guild.answer("!sendref-cashb status")).embed
        tasks.cancel_scope.cancel()
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert [record for record in caplog.records if record.exc_info] == []


async def test_gateway_lost_and_away_is_tried_without_tracebacks(
    guild: DiscordFixture, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    async with anyio.create_task_group() as tasks:
        gate.is_open = True
        tasks.start_soon(gate.serve)
        async with guild.bot():
            gate.is_open = False
            await guild.sandbox.gateway.disconnect(resumable=False)
            await until(lambda: len(tries(caplog, "Attempting a reconnect")) > 3)
            gate.is_open = True
            await guild.sandbox.wait_connected()
        tasks.cancel_scope.cancel()
    assert all("(" in record.getMessage() for record in tries(caplog, "Attempting a reconnect"))
    assert [record for record in caplog.records if record.exc_info] == []
