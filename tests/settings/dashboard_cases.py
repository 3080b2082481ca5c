"""The dashboard's address, its public one, and the proxies before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import anyio

from tests.settings.world import World, setting

ATTEMPTS = 21
REPORTS = 61
"""One more than an address may make in a minute."""


async def answers(host: str, port: int) -> bool:
    """Return whether a dashboard answers there."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/sign-in") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """Serve the dashboard inside the block; yield its address."""
    enabled = world.settings.dashboard.model_copy(update={"enabled": True})
    world.settings = world.settings.model_copy(update={"dashboard": enabled})
    dashboard = (await world.services()).dashboard
    assert dashboard is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dashboard.run, name="dashboard")
        with anyio.fail_after(10):
            await dashboard.listening.wait()
        yield f"http://{world.settings.dashboard.host}:{world.settings.dashboard.port}"
        tasks.cancel_scope.cancel()


@setting("dashboard.enabled", (False, (False, False)), (True, (True, True)))
async def the_bot_serves_pages(world: World) -> object:
    host, port = world.settings.dashboard.host, world.settings.dashboard.port
    has_dashboard = (await world.services()).service.has_dashboard
    async with world.running():
        with anyio.move_on_after(10 if has_dashboard else 0):
            while not await answers(host, port):  # noqa: ASYNC110 -- a socket of another task has no event
                await anyio.sleep(0.01)
        return has_dashboard, await answers(host, port)


@setting("dashboard.port", ("first port", [True, False]), ("second port", [False, True]))
async def the_port_that_answers(world: World) -> object:
    async with served(world):
        return [await answers("127.0.0.1", port) for port in world.ports]


@setting("dashboard.host", ("127.0.0.1", [True, False]), ("127.0.0.2", [False, True]))
async def the_address_that_answers(world: World) -> object:
    async with served(world):
        return [await answers(host, world.settings.dashboard.port) for host in ("127.0.0.1", "127.0.0.2")]


@setting("dashboard.public_url", (None, [False, False]), ("https://cashback.example.org", [True, True]))
async def the_address_in_links(world: World) -> object:
    link = await (await world.services()).service.issue_link(world.admin)
    async with (
        served(world) as address,
        aiohttp.ClientSession() as session,
        session.get(f"{address}/api/openapi.json") as answer,
    ):
        described = await answer.text()
    return ["https://cashback.example.org" in text for text in (link, described)]


@setting("dashboard.trusted_proxies", (0, [429, 429]), (1, [403, 401]))
async def the_address_that_limits_count(world: World) -> object:
    """Each request claims to come for another client; only a proxy of ours is believed."""
    async with served(world) as address, aiohttp.ClientSession() as session:

        async def last(path: str, count: int) -> int:
            for number in range(count):
                headers = {"X-Forwarded-For": f"198.51.100.{number}"}
                async with session.post(address + path, headers=headers) as answer:
                    status = answer.status
            return status

        return [await last("/sign-in/no-token", ATTEMPTS), await last("/api/v1/purchases", REPORTS)]
