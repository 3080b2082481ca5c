"""The pages of orders: those that wait for a member, and one order with its corrections."""

from urllib.parse import quote

from aiohttp import web

from cashback.dashboard.auth import VISITOR
from cashback.dashboard.pages import field_of, page, see_other
from cashback.dashboard.people import person_named
from cashback.database import Database
from cashback.database.referral_program import unmatched
from cashback.domain.earning import MAIN
from cashback.domain.errors import CashbackError
from cashback.domain.money import parse_typed_dollars
from cashback.domain.orders import Wording, why_not_paid
from cashback.services import AdminService
from cashback.shops.ids import check_order_id, to_id

WAITING_SHOWN = 200
WORDING = Wording(person="Member {}".format)


class OrdersPage:
    """Shows orders, and passes an admin's corrections to the service."""

    def __init__(self, database: Database, service: AdminService) -> None:
        self._database = database
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.get("/orders", self.show_waiting),
            web.get("/orders/{id:.+}", self.show),
            web.post("/orders/{id:.+}", self.change),
        ]

    async def show_waiting(self, request: web.Request) -> web.StreamResponse:
        """List the orders that wait for a member, or redirect to the one whose id is given."""
        wanted = request.query.get("id", "").strip()
        if wanted:
            raise web.HTTPFound(_address_of(wanted))
        now = self._database.now()
        waiting = await self._database.read(unmatched.waiting, now, limit=WAITING_SHOWN)
        return await page(request, "orders.html", now=now, waiting=waiting)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one order, of each shop that has one with this id."""
        found = await self._service.find_orders(check_order_id(request.match_info["id"]))
        if not found:
            raise web.HTTPNotFound(reason="This order is not known")
        now = self._database.now()
        return await page(
            request,
            "order.html",
            now=now,
            found=[(order, why_not_paid(order, now, WORDING)) for order in found],
            address=_address_of(request.match_info["id"]),
        )

    async def change(self, request: web.Request) -> web.StreamResponse:
        """Assign, reassign, or correct the amount."""
        actor = request[VISITOR].actor
        # Authorization comes first, also for a form without a valid value.
        await self._service.require_admin(actor, "correct an order")
        order_id = check_order_id(request.match_info["id"])
        source, reason = await field_of(request, "shop") or MAIN, await field_of(request, "reason")
        what, value = await field_of(request, "what"), await field_of(request, "value")
        match what:
            case "assign":
                buyer_id = await self._buyer(value)
                await self._service.assign_order(actor, order_id, buyer_id, source=source, reason=reason or None)
            case "reassign":
                buyer_id = await self._buyer(value)
                await self._service.reassign_order(actor, order_id, buyer_id, source=source, reason=reason)
            case "amount":
                cents = parse_typed_dollars(value)
                await self._service.correct_order_amount(actor, order_id, cents, source=source, reason=reason)
            case _:
                raise CashbackError(f"{what[:40]!r} is not a correction of an order.")
        return see_other(_address_of(order_id))

    async def _buyer(self, typed: str) -> int:
        return await person_named(self._database, typed) or to_id(typed)


def _address_of(order_id: str) -> str:
    return f"/orders/{quote(order_id, safe='')}"
