"""The first page: pending cashback, the next batch, the last batches and the program's health."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from cashback.dashboard import bar_chart
from cashback.dashboard.health import Health
from cashback.dashboard.live import Live
from cashback.dashboard.pages import fragment, page
from cashback.dashboard.snapshot import Snapshot
from cashback.database import Database
from cashback.database.queries import browsing, to_do
from cashback.database.queries.overview import Overview
from cashback.domain.model import NotificationStatus
from cashback.services import AdminService

BATCHES_SHOWN: Final = 8


class OverviewPage:
    """Shows a live summary of the ledger."""

    def __init__(
        self, database: Database, service: AdminService, snapshot: Snapshot, health: Health, live: Live
    ) -> None:
        self._database = database
        self._service = service
        self._snapshot = snapshot
        self._health = health
        self._live = live

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/", self.show), web.get("/live", self.stream)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the page."""
        return await page(request, "overview.html", **await self._shown(await self._snapshot.get_new()))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Stream the changes of the page."""

        async def render() -> Mapping[str, str]:
            shown = await self._shown(await self._snapshot.get())
            return {"overview": await fragment(request, "overview_parts.html", shown)}

        return await self._live.stream(request, render)

    async def _shown(self, overview: Overview) -> dict[str, Any]:
        newest = await self._database.read(browsing.batches_page, before=None, limit=BATCHES_SHOWN)
        return {
            "now": self._database.now(),
            "overview": overview,
            "chart": bar_chart.chart(overview.weeks),
            "chart_left": bar_chart.LEFT,
            "terms": self._service.terms_line,
            **await self._waiting(overview),
            "chart_width": bar_chart.WIDTH,
            "chart_height": bar_chart.HEIGHT,
            "schedule": await self._service.schedule_overview(),
            "batches": newest.rows,
        }

    async def _waiting(self, overview: Overview) -> dict[str, Any]:
        """Return what waits for an admin."""
        waiting = await self._database.read(to_do.to_do)
        failed = overview.settled_messages.get(NotificationStatus.FAILED, 0)
        upkeep = overview.upkeep
        counts = (waiting.failed_payouts, overview.open_withdrawals, upkeep.waiting_purchases, upkeep.breaches, failed)
        return {
            "to_do": waiting,
            "health": await self._health.checks(),
            "failed_messages": failed,
            "is_anything_waiting": bool(waiting.proposed or waiting.stopped or any(counts)),
        }
