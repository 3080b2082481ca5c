"""Shops to try it with: a page for each shop system, which delivers orders, refunds and disputes as the real one does.

Deliveries can be held back and then sent in any order and any number of times.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, NoReturn, Self

import anyio
from aiohttp import web

from sandbox.shop import html
from sandbox.shop.deliveries import RETRY_SECONDS, Deliveries, Delivery
from sandbox.shop.orders import Order, Refund
from sandbox.shop.senders import Sender, sender_of
from sandbox.shop.system import ANYWHERE

PRICE_CENTS: Final = 4_000
FIRST_NUMBER: Final = 1001


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a shop delivers to, and the secret that both know."""

    kind: str
    deliver_to: str
    secret: str


@dataclass(slots=True)
class Sold:
    """An order of a shop, and what was refunded of it."""

    shop: str
    order: Order
    refunds: int = 0
    refunded_cents: int = 0


def _now() -> datetime:
    return datetime.now(UTC)


class ShopPage:
    """Serves the shops on this machine; the first of them is where `/` leads."""

    def __init__(
        self,
        shops: Mapping[str, Connection],
        *,
        port: int = 0,
        clock: Callable[[], datetime] = _now,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        """`shops` are by their names; port 0 is a free one."""
        self._connections = shops
        self._senders: Mapping[str, Sender] = {
            name: sender_of(shop.kind, shop.secret, shop.deliver_to) for name, shop in shops.items()
        }
        self._port = port
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._orders: dict[int, Sold] = {}
        self._opened = AsyncExitStack()
        self.url = ""

    async def __aenter__(self) -> Self:
        """Start serving."""
        tasks = await self._opened.enter_async_context(anyio.create_task_group())
        self._opened.callback(tasks.cancel_scope.cancel)
        self.deliveries = Deliveries(tasks, self._clock, self._retry_seconds)
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._choose),
                web.get("/{shop}/", self._show),
                web.post("/{shop}/buy", self._buy),
                web.post("/{shop}/orders/{number:[0-9]+}/{event}", self._report),
                web.post("/{shop}/deliveries/{number:[0-9]+}", self._send),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._opened.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        await self._opened.aclose()

    def link_of(self, shop: str, member_id: int) -> str:
        """Return the address by which a member comes to a shop."""
        return f"{self.url}{shop}/?{self._senders[shop].system.parameter}={member_id}"

    async def buy(
        self,
        shop: str,
        member_id: int | None,
        *,
        email: str = "buyer@example.com",
        is_test: bool = False,
        is_held: bool = False,
    ) -> tuple[Order, Delivery]:
        """Pay an order; return it and its delivery, which is sent unless it is held back."""
        # Shops write whole seconds: without one more, a purchase right after a referral would lie before it.
        at = self._clock() + timedelta(seconds=1)
        number = FIRST_NUMBER + len(self._orders)
        order = Order(number=number, goods_cents=PRICE_CENTS, discord_id=member_id, at=at, email=email, is_test=is_test)
        self._orders[number] = Sold(shop, order)
        return order, await self.report(number, "paid", is_held=is_held)

    async def report(self, number: int, event: str, *, is_held: bool = False) -> Delivery:
        """Report "paid", "part" (half of the order is refunded), "rest", "disputed" or "won" of an order."""
        sold = self._orders[number]
        sender, order = self._senders[sold.shop], sold.order
        refund = _refund(sold, event)
        make = {
            "paid": lambda now: sender.paid(order, now),
            "part": lambda now: sender.refunded(order, refund, now),
            "rest": lambda now: sender.refunded(order, refund, now),
            "disputed": lambda now: sender.disputed(order, now),
            "won": lambda now: sender.dispute_won(order, now),
        }[event]
        delivery = self.deliveries.add(f"{sold.shop}: order {number}, {html.EVENTS[event]}", make, sender.url)
        if not is_held:
            await self.deliveries.send(delivery)
        return delivery

    async def _choose(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/{next(iter(self._connections))}/?{request.query_string}")

    def _shop(self, request: web.Request) -> str:
        shop = request.match_info["shop"]
        if shop not in self._connections:
            raise web.HTTPNotFound
        return shop

    def _member(self, request: web.Request) -> int | None:
        own = self._senders[self._shop(request)].system.parameter
        found = request.query.get(own) or request.query.get(ANYWHERE, "")
        return int(found) if found.isascii() and found.isdigit() else None

    async def _show(self, request: web.Request) -> web.Response:
        shop = self._shop(request)
        orders = [number for number, sold in self._orders.items() if sold.shop == shop]
        links = {name: self._carried(name, request) for name in self._connections}
        text = html.page(shop, links, self._member(request), PRICE_CENTS, orders, self.deliveries.all)
        return web.Response(text=text, content_type="text/html")

    def _carried(self, shop: str, request: web.Request) -> str:
        member = self._member(request)
        return f"/{shop}/" if member is None else self.link_of(shop, member).removeprefix(self.url.rstrip("/"))

    async def _buy(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        await self.buy(
            self._shop(request),
            self._member(request),
            email=str(form.get("email") or "buyer@example.com"),
            is_test="test" in form,
            is_held="hold" in form,
        )
        self._back(request)

    async def _report(self, request: web.Request) -> web.StreamResponse:
        number, event = int(request.match_info["number"]), request.match_info["event"]
        if number not in self._orders or event not in html.EVENTS:
            raise web.HTTPNotFound
        await self.report(number, event, is_held="hold" in await request.post())
        self._back(request)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["number"])
        if not 0 < number <= len(self.deliveries.all):
            raise web.HTTPNotFound
        await self.deliveries.send(self.deliveries.all[number - 1])
        self._back(request)

    def _back(self, request: web.Request) -> NoReturn:
        raise web.HTTPSeeOther(self._carried(self._shop(request), request))


def _refund(sold: Sold, event: str) -> Refund:
    """Return a refund of half of an order, or of what is left of it, and count it."""
    left = sold.order.total_cents - sold.refunded_cents
    cents = {"part": min(left, sold.order.total_cents // 2), "rest": left}.get(event, 0)
    sold.refunds += bool(cents)
    sold.refunded_cents += cents
    return Refund(number=sold.order.number * 10 + sold.refunds, cents=cents, in_all_cents=sold.refunded_cents)
