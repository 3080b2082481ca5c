"""The page of withdrawals: open requests with an admin's decisions, and decided ones. It shows no destination."""

from typing import Final

from aiohttp import web

from cashback.dashboard.auth import VISITOR
from cashback.dashboard.pages import field_of, number_in, page, see_other
from cashback.database import Database
from cashback.database.wallets import withdrawals
from cashback.services import AdminService

OPEN_SHOWN: Final = 200
NEWEST_SHOWN: Final = 50


class WithdrawalsPage:
    """Shows withdrawals, and passes an admin's decisions to the service."""

    def __init__(self, database: Database, service: AdminService) -> None:
        self._database = database
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.get("/withdrawals", self.show),
            web.post("/withdrawals/{number}/approve", self.approve),
            web.post("/withdrawals/{number}/paid", self.pay),
            web.post("/withdrawals/{number}/decline", self.decline),
        ]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the page."""
        read = self._database.read
        count, cents = await read(withdrawals.queue_totals)
        return await page(
            request,
            "withdrawals.html",
            now=self._database.now(),
            open_count=count,
            open_cents=cents,
            queue=await read(withdrawals.queue, limit=OPEN_SHOWN),
            newest=await read(withdrawals.newest, limit=NEWEST_SHOWN),
        )

    async def approve(self, request: web.Request) -> web.StreamResponse:
        """Give the first of two approvals."""
        await self._service.approve_withdrawal(
            request[VISITOR].actor, number_in(request, "number"), version=await field_of(request, "version")
        )
        return see_other("/withdrawals")

    async def pay(self, request: web.Request) -> web.StreamResponse:
        """Mark a request as paid."""
        await self._service.pay_withdrawal(
            request[VISITOR].actor,
            number_in(request, "number"),
            reference=await field_of(request, "reference"),
            version=await field_of(request, "version"),
        )
        return see_other("/withdrawals")

    async def decline(self, request: web.Request) -> web.StreamResponse:
        """Decline a request."""
        await self._service.decline_withdrawal(
            request[VISITOR].actor,
            number_in(request, "number"),
            reason=await field_of(request, "reason"),
            version=await field_of(request, "version"),
        )
        return see_other("/withdrawals")
