"""The page of the weekly batch: next and past slots, pause, resume and skip."""

from datetime import datetime
from typing import Final

from aiohttp import web

from cashback.dashboard.auth import VISITOR
from cashback.dashboard.pages import field_of, page, see_other
from cashback.database import Database
from cashback.database.schedule import schedule, slots
from cashback.domain.errors import CashbackError
from cashback.domain.reason_texts import MAX_REASON_LENGTH
from cashback.services import AdminService

COMING_SHOWN: Final = 5
PAST_SHOWN: Final = 50


class SchedulePage:
    """Shows the schedule, and passes an admin's decisions to the service."""

    def __init__(self, database: Database, service: AdminService) -> None:
        self._database = database
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.get("/schedule", self.show),
            web.post("/schedule/pause", self.pause),
            web.post("/schedule/resume", self.resume),
            web.post("/schedule/skip", self.skip),
            web.post("/schedule/unskip", self.unskip),
        ]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the page."""
        now = self._database.now()
        decided = await self._database.read(slots.latest, limit=PAST_SHOWN)
        return await page(
            request,
            "schedule.html",
            now=now,
            state=await self._database.read(schedule.find_state),
            schedule=await self._service.schedule_overview(),
            coming=await self._coming(),
            skipped=await self._database.read(slots.skipped_ahead, now=now),
            past=[each for each in decided if each.slot_at <= now],
        )

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """Pause the schedule."""
        await self._service.pause_schedule(request[VISITOR].actor, await _reason(request))
        return see_other("/schedule")

    async def resume(self, request: web.Request) -> web.StreamResponse:
        """End the pause."""
        await self._service.resume_schedule(request[VISITOR].actor, await _reason(request))
        return see_other("/schedule")

    async def skip(self, request: web.Request) -> web.StreamResponse:
        """Skip the slot in the form if it is one of the next slots."""
        wanted = await field_of(request, "slot_at")
        for slot_at in await self._coming():
            if slot_at.isoformat() == wanted:
                await self._service.skip_slot(request[VISITOR].actor, slot_at, await _reason(request))
                return see_other("/schedule")
        # Authorization comes first, also for a form without a valid slot.
        await self._service.require_admin(request[VISITOR].actor, "skip a slot")
        raise CashbackError("This slot is not one of the next ones, or is already decided. Load the page again.")

    async def unskip(self, request: web.Request) -> web.StreamResponse:
        """Withdraw the skip of the slot in the form."""
        await self._service.require_admin(request[VISITOR].actor, "unskip a slot")
        wanted = await field_of(request, "slot_at")
        for record in await self._database.read(slots.skipped_ahead, now=self._database.now()):
            if record.slot_at.isoformat() == wanted:
                await self._service.unskip_slot(request[VISITOR].actor, record.slot_at, await _reason(request))
                return see_other("/schedule")
        raise CashbackError("This slot is not skipped, or has passed. Load the page again.")

    async def _coming(self) -> list[datetime]:
        return await self._service.coming_slots(COMING_SHOWN)


async def _reason(request: web.Request) -> str | None:
    return (await field_of(request, "reason"))[:MAX_REASON_LENGTH] or None
