"""A shop to try it with: a page with one thing to buy, which delivers each order and refund as a real shop does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import web

from sandbox.shop.orders import Order, Refund
from sandbox.shop.senders import Request, sender_of

PRICE_CENTS: Final = 4_000
FIRST_NUMBER: Final = 1001
PARAMETER: Final = "attributes[discord_id]"
"""Where Shopify's cart takes a member's id."""

PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sample shop</title>
<style>body{{font:1.1rem/1.6 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}}button{{font:inherit}}</style>
<h1>Sample shop</h1><p>A rank for {price}. {buyer}</p>
<form method="post" action="/buy?{query}"><button>Buy</button></form><h2>Orders</h2><ul>{orders}</ul></html>"""
ROW: Final = """<li><form method="post" action="/refund/{number}?{query}">#{number}: {state}
<button>Refund</button></form></li>"""


def _now() -> datetime:
    return datetime.now(UTC)


class ShopPage:
    """Serves the shop on this machine, and delivers to the address that it was given, signed with the secret."""

    def __init__(
        self, deliver_to: str, secret: str, *, kind: str = "shopify", clock: Callable[[], datetime] = _now
    ) -> None:
        self._sender = sender_of(kind, secret, deliver_to)
        self._clock = clock
        self._orders: dict[int, tuple[Order, str]] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        """Start serving on a free port."""
        app = web.Application()
        app.add_routes(
            [web.get("/", self._show), web.post("/buy", self._buy), web.post("/refund/{number:[0-9]+}", self._refund)]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        if self._runner is not None:
            await self._runner.cleanup()

    def link_of(self, member_id: int) -> str:
        """Return the address by which this member comes to the shop."""
        return f"{self.url}?{PARAMETER}={member_id}"

    async def buy(self, member_id: int | None) -> tuple[Order, str]:
        """Pay an order; return it and what the delivery did."""
        # Shops write whole seconds: without one more, a purchase right after a referral would lie before it.
        at = self._clock() + timedelta(seconds=1)
        number = FIRST_NUMBER + len(self._orders)
        order = Order(number=number, goods_cents=PRICE_CENTS, discord_id=member_id, at=at)
        outcome = await self._deliver(self._sender.paid(order, self._clock()))
        self._orders[order.number] = (order, outcome)
        return order, outcome

    async def _deliver(self, request: Request | None) -> str:
        if request is None:
            return "not reported"
        url = self._sender.url + request.query
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=request.body, headers=request.headers) as answer,
        ):
            said = await answer.json(content_type=None)
            return str(said.get("outcome") or said.get("detail"))

    async def _show(self, request: web.Request) -> web.Response:
        member = request.query.get(PARAMETER, "")
        query = escape(request.query_string)
        rows = [
            ROW.format(number=number, state=escape(outcome), query=query)
            for number, (_, outcome) in self._orders.items()
        ]
        buyer = f"You came by the link of {escape(member)}." if member else "You came without a member's link."
        text = PAGE.format(price="$40.00", buyer=buyer, query=query, orders="".join(rows))
        return web.Response(text=text, content_type="text/html")

    async def _buy(self, request: web.Request) -> web.StreamResponse:
        member = request.query.get(PARAMETER, "")
        await self.buy(int(member) if member.isascii() and member.isdigit() else None)
        raise web.HTTPSeeOther(f"/?{request.query_string}")

    async def _refund(self, request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["number"])
        if number not in self._orders:
            raise web.HTTPNotFound
        order, _ = self._orders[number]
        refund = Refund(number=number, cents=order.total_cents, in_all_cents=order.total_cents)
        outcome = await self._deliver(self._sender.refunded(order, refund, self._clock()))
        self._orders[number] = (order, f"refunded, {outcome}")
        raise web.HTTPSeeOther(f"/?{request.query_string}")
