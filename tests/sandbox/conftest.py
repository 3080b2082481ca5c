"""A sandbox that judges what it is sent, and real discord.py clients that talk to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import anyio
import discord
import pytest
import yarl
from discord.ext import commands

from sandbox import ManualClock, Sandbox
from tests.description import RequestCheck

Connect = Callable[[discord.Client], AbstractAsyncContextManager[None]]


class Reply(NamedTuple):
    """An answer of the REST API."""

    status: int
    body: Any
    headers: dict[str, str]


Api = Callable[..., Awaitable[Reply]]


class Bot(commands.Bot):
    """A bot that identifies again without waiting five seconds, and records errors of its commands."""

    def __init__(self) -> None:
        intents = discord.Intents.default()
        intents.message_content = True
        super().__init__(command_prefix="!", intents=intents, guild_ready_timeout=0.02)
        self.failures: list[Exception] = []

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Identify at once."""

    async def on_command_error(self, context: Any, exception: Exception, /) -> None:  # noqa: ANN401 — the library's type
        """Keep the error, unless the command has its own way with it."""
        if context.command is None or not context.command.has_error_handler():
            self.failures.append(exception)


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, which aiohttp needs."""
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sandbox], None]:
    """Send discord.py to a server."""

    def send_to(server: Sandbox) -> None:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway_url))

    return send_to


@pytest.fixture
async def sandbox(
    clock: ManualClock,
    request_check: RequestCheck | None,
    point: Callable[[Sandbox], None],
) -> AsyncIterator[Sandbox]:
    """Point discord.py at a sandbox; the test fails if a request broke Discord's description."""
    async with Sandbox(clock=clock, request_check=request_check) as server:
        point(server)
        yield server
    assert server.complaints == []


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[Api]:
    """Send requests as the bot would, without a client's help."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {sandbox.token}"}) as session:

        async def send(method: str, path: str, body: object = None) -> Reply:
            # A request that Discord would refuse is what these tests send.
            async with session.request(method, sandbox.api_url + path, json=body) as response:
                text = await response.text()
                return Reply(response.status, json.loads(text) if text else None, dict(response.headers))

        yield send
        sandbox.complaints.clear()


@pytest.fixture
def bot() -> Iterator[commands.Bot]:
    """Create a bot whose commands must not fail."""
    made = Bot()
    yield made
    assert made.failures == []


@pytest.fixture
def connect(sandbox: Sandbox) -> Connect:
    """Run a client against the sandbox; it is ready inside the block."""

    @asynccontextmanager
    async def run(client: discord.Client) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks, client:
            tasks.start_soon(client.start, sandbox.token, name="client")
            await sandbox.wait_connected()
            with anyio.fail_after(5):
                await client.wait_until_ready()
            yield
            await client.close()

    return run
