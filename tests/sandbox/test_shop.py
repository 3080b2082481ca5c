"""The sandbox's shops try a delivery again as the real ones do."""

from __future__ import annotations

import anyio
import pytest
from aiohttp import web

from sandbox.shop import Connection, ShopPage
from tests.conftest import FRIDAY

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-the-shop"  # noqa: S105 -- a test's own
MEMBER = 222222222222222222


async def test_delivery_is_tried_again_until_it_is_answered_well() -> None:
    statuses, bodies, is_over = [503, 500, 200], [], anyio.Event()

    async def receive(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        status = statuses[len(bodies) - 1]
        if status == 200:
            is_over.set()
        return web.json_response({"outcome": "counted"} if status == 200 else {}, status=status)

    app = web.Application()
    app.add_routes([web.post("/in", receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    connection = Connection(kind="stripe", deliver_to=address, secret=SECRET)
    async with ShopPage({"stripe": connection}, clock=lambda: FRIDAY, retry_seconds=(0, 0, 0)) as page:
        _order, delivery = await page.buy("stripe", MEMBER)
        with anyio.fail_after(20):
            await is_over.wait()
            while not delivery.is_done:
                await anyio.lowlevel.checkpoint()
    await runner.cleanup()
    assert (delivery.attempts, delivery.answer, len(set(bodies))) == (3, "counted", 1)
