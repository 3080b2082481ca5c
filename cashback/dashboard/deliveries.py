"""The page of deliveries: what the shops delivered, what each delivery did and why, and links that may be spread."""

from typing import Final

from aiohttp import web

from cashback.dashboard.pages import page
from cashback.database import Database
from cashback.services import AdminService

SHOWN: Final = 100


class DeliveriesPage:
    """Shows the newest deliveries, of all shops or of one."""

    def __init__(self, database: Database, service: AdminService) -> None:
        self._database = database
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/deliveries", self.show)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the page."""
        before = request.query.get("before", "")
        number = int(before) if before.isascii() and before.isdigit() and len(before) <= 18 else None  # noqa: PLR2004 -- what fits 64 bits
        shop = request.query.get("shop") or None
        listed = await self._service.deliveries(limit=SHOWN, shop=shop, before_number=number)
        return await page(
            request,
            "deliveries.html",
            now=self._database.now(),
            deliveries=listed,
            shop=shop,
            shops=self._service.shops,
            older=listed[-1].number if len(listed) == SHOWN else None,
            spread=await self._service.spread_links(),
        )
