"""The audit log, newest first, and the proof that the books balance."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import anyio
from aiohttp import web

from cashback.dashboard.auth import VISITOR
from cashback.dashboard.metrics import Metrics
from cashback.dashboard.pages import number_in, page, see_other
from cashback.database import Database, audit_log
from cashback.database.integrity.reconciliation import Verdict
from cashback.domain.errors import BusyError
from cashback.services import AdminService

ON_A_PAGE: Final = 50

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The last proof: when it was asked for, by whom, how long it took, and what it found."""

    at: datetime
    actor: str
    seconds: float
    verdict: Verdict


class Proofs:
    """Proves the books, one proof at a time, and remembers the last one."""

    def __init__(self, database: Database, service: AdminService, metrics: Metrics) -> None:
        """Take the ledger's clock, the service, and the numbers that tell of the last proof."""
        self._metrics = metrics
        self._database = database
        self._service = service
        self._proving = anyio.Lock()
        self.last: Proof | None = None

    async def prove(self, request: web.Request) -> None:
        """Prove the books for whoever asks. Raises NotAllowedError; BusyError while a proof is under way."""
        actor = request[VISITOR].actor
        await self._service.require_admin(actor, "verify the books")
        try:
            self._proving.acquire_nowait()
        except anyio.WouldBlock as error:
            raise BusyError("The books are being verified already; the result is here in a moment.") from error
        try:
            began = anyio.current_time()
            at = self._database.now()
            verdict = await self._service.verify(actor)
            self._metrics.note_verdict(verdict, at.timestamp())
            self.last = Proof(at=at, actor=str(actor), seconds=anyio.current_time() - began, verdict=verdict)
        finally:
            self._proving.release()


class AuditPage:
    """Shows the audit log."""

    def __init__(self, database: Database, proofs: Proofs) -> None:
        """Take the ledger for reading, and who proves the books."""
        self._database = database
        self._proofs = proofs

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/audit", self.show), web.post("/audit/verify", self.verify)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show a page of the log."""
        entries = await self._database.read(
            audit_log.entries, limit=ON_A_PAGE + 1, before_id=number_in(request, "before") or None
        )
        return page(
            request,
            "audit.html",
            now=self._database.now(),
            entries=entries[:ON_A_PAGE],
            next_before=entries[ON_A_PAGE - 1]["id"] if len(entries) > ON_A_PAGE else None,
            proof=self._proofs.last,
        )

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """Prove the books, then show the result."""
        await self._proofs.prove(request)
        return see_other("/audit")
