"""The sandbox's shop: a page on which a member buys, and whose deliveries are a real shop's."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks import KINDS
from cashback.shops.webhooks.kind import Counts, Delivery
from sandbox.shop import ShopPage
from tests.conftest import FRIDAY

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-the-shop"  # noqa: S105 -- a test's own
MEMBER = 222222222222222222


async def test_purchase_and_refund_on_the_page_are_delivered() -> None:
    received: list[ShopEvent] = []

    async def receive(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        delivery = Delivery(headers=headers, body=await request.read(), now=FRIDAY)
        KINDS["shopify"].verify(delivery, [SECRET.encode()])
        received.extend(KINDS["shopify"].read(delivery, Counts.SUBTOTAL).events)
        return web.json_response({"outcome": "counted"})

    app = web.Application()
    app.add_routes([web.post("/in", receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    async with (
        ShopPage(address, SECRET, clock=lambda: FRIDAY) as shop,
        aiohttp.ClientSession() as session,
    ):
        mine = {"attributes[discord_id]": str(MEMBER)}
        async with session.post(f"{shop.url}buy", params=mine) as answer:
            assert "#1001: counted" in await answer.text()
        async with session.post(f"{shop.url}refund/1001", params=mine) as answer:
            assert "refunded, counted" in await answer.text()
        async with session.post(f"{shop.url}refund/9") as answer:
            assert answer.status == 404
    await runner.cleanup()
    assert [(event.kind, event.amount_cents) for event in received] == [
        (EventKind.PAID, 4_000),
        (EventKind.REFUNDED, 4_000),
    ]
    assert received[0].buyer_id == MEMBER
