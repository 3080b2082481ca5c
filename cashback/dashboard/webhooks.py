"""The page of webhooks: how many events were delivered, and the newest deliveries."""

from typing import Final

from aiohttp import web

from cashback.dashboard.auth import VISITOR
from cashback.dashboard.pages import number_in, page, see_other
from cashback.database import Database, events
from cashback.services import AdminService

NEWEST_SHOWN: Final = 100


class WebhooksPage:
    """Shows deliveries, and lets an admin send a failed one again."""

    def __init__(self, database: Database, service: AdminService) -> None:
        self._database = database
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/webhooks", self.show), web.post("/webhooks/{number}/retry", self.retry)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the page."""
        read = self._database.read
        return await page(
            request,
            "webhooks.html",
            now=self._database.now(),
            counts=await read(events.counts),
            newest=await read(events.newest, limit=NEWEST_SHOWN),
        )

    async def retry(self, request: web.Request) -> web.StreamResponse:
        """Queue a failed delivery again."""
        await self._service.retry_delivery(request[VISITOR].actor, number_in(request, "number"))
        return see_other("/webhooks")
