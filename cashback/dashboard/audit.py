"""The audit log, newest first, and the verification of the ledger."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import anyio
from aiohttp import web

from cashback.dashboard.auth import VISITOR
from cashback.dashboard.pages import number_in, page, see_other
from cashback.database import Database, audit_log
from cashback.database.integrity.reconciliation import Verdict
from cashback.domain.errors import BusyError
from cashback.services import AdminService

ON_A_PAGE: Final = 50

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One verification: when it began, the actor, its duration and its verdict."""

    at: datetime
    actor: str
    seconds: float
    verdict: Verdict


class Verifier:
    """Verifies the ledger, one verification at a time, and keeps the last result."""

    def __init__(self, database: Database, service: AdminService) -> None:
        self._database = database
        self._service = service
        self._running = anyio.Lock()
        self.last: Verification | None = None

    async def verify(self, request: web.Request) -> None:
        """Verify the ledger for an admin. Raises NotAllowedError; BusyError if a verification is already running."""
        actor = request[VISITOR].actor
        await self._service.require_admin(actor, "verify the books")
        try:
            self._running.acquire_nowait()
        except anyio.WouldBlock as error:
            raise BusyError("The ledger is already being verified; load the page again in a moment.") from error
        try:
            began = anyio.current_time()
            at = self._database.now()
            verdict = await self._service.verify(actor)
            self.last = Verification(at=at, actor=str(actor), seconds=anyio.current_time() - began, verdict=verdict)
        finally:
            self._running.release()


class AuditPage:
    """The page of the audit log."""

    def __init__(self, database: Database, verifier: Verifier) -> None:
        self._database = database
        self._verifier = verifier

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/audit", self.show), web.post("/audit/verify", self.verify)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show a page of the log."""
        entries = await self._database.read(
            audit_log.entries, limit=ON_A_PAGE + 1, before_id=number_in(request, "before") or None
        )
        return await page(
            request,
            "audit.html",
            now=self._database.now(),
            entries=entries[:ON_A_PAGE],
            next_before=entries[ON_A_PAGE - 1]["id"] if len(entries) > ON_A_PAGE else None,
            verification=self._verifier.last,
        )

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """Verify the ledger, then show the result."""
        await self._verifier.verify(request)
        return see_other("/audit")
