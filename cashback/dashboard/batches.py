"""The pages of batches: the list, and one batch with its progress, payouts and buttons."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from cashback.dashboard import payout_file
from cashback.dashboard.auth import VISITOR
from cashback.dashboard.live import Live
from cashback.dashboard.pages import field_of, fragment, number_in, page, see_other
from cashback.dashboard.people import person_named
from cashback.dashboard.ttl_cache import TtlCache
from cashback.database import Database, audit_log
from cashback.database.payouts import batches, proposals
from cashback.database.queries import browsing, history, payout_pages
from cashback.database.queries.browsing import Page
from cashback.database.queries.history import BatchFilter
from cashback.domain.days import first_moment, moment_after
from cashback.domain.model import BatchMode, BatchReport, BatchStatus, PayoutStatus
from cashback.services import AdminService

BATCHES_ON_A_PAGE: Final = 50
PAYOUTS_ON_A_PAGE: Final = 50
ENTRIES_SHOWN: Final = 50
REPORT_SECONDS: Final = 0.9
"""Reports are shared for this long: a batch with many watchers is counted once for all of them."""


class Batches:
    """Shows batches, and passes an admin's decisions to the service."""

    def __init__(self, database: Database, service: AdminService, live: Live) -> None:
        self._database = database
        self._service = service
        self._live = live
        self._reports = TtlCache(self._read_report, seconds=REPORT_SECONDS)

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.get("/batches", self.show_all),
            web.post("/batches", self.propose),
            web.get("/batches/{number}", self.show),
            web.get("/batches/{number}/live", self.stream),
            web.get("/batches/{number}/payouts.{suffix:csv|xlsx}", self.download),
            *(
                web.post(f"/batches/{{number}}/{name}", self._decision(decide))
                for name, decide in (
                    ("confirm", self._service.approve),
                    ("cancel", self._service.cancel),
                    ("stop", self._service.stop),
                    ("resume", self._service.resume),
                    ("retry", self._service.retry),
                    ("give-up", self._service.abandon),
                )
            ),
            web.post("/batches/{number}/retry-notifications", self.retry_notifications),
        ]

    async def show_all(self, request: web.Request) -> web.StreamResponse:
        """List the batches, newest first, all or those that the query selects."""
        chosen = {name: request.query.get(name, "").strip() for name in ("status", "mode", "person", "from", "to")}
        found = await self._database.read(
            browsing.batches_page,
            before=number_in(request, "before") or None,
            limit=BATCHES_ON_A_PAGE,
            wanted=await self._filter(chosen),
        )
        query = urlencode({name: value for name, value in chosen.items() if value})
        return await page(
            request, "batches.html", now=self._database.now(), found=found, chosen=chosen, query=query, net=_net(found)
        )

    async def _filter(self, chosen: Mapping[str, str]) -> BatchFilter:
        """Read the filter. Raises CashbackError."""
        mode = chosen["mode"]
        return BatchFilter(
            status=history.status_named(chosen["status"] or None),
            mode=BatchMode(mode) if mode in list(BatchMode) else None,
            user_id=await person_named(self._database, chosen["person"]),
            since=first_moment(chosen["from"] or None),
            until=moment_after(chosen["to"] or None),
        )

    async def propose(self, request: web.Request) -> web.StreamResponse:
        """Propose a batch for everyone, or for one referrer if the form names one."""
        text = await field_of(request, "referrer_id")
        summary = await self._service.propose(
            request[VISITOR].actor, target_user_id=await person_named(self._database, text)
        )
        return see_other(f"/batches/{summary.batch_number}")

    def _decision(
        self, decide: Callable[..., Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the handler of one button. Its form carries the token of the batch that the page showed."""

        async def handle(request: web.Request) -> web.StreamResponse:
            number = number_in(request, "number")
            await decide(request[VISITOR].actor, number, token=await field_of(request, "batch_token"))
            await self._reports.renew(number)
            return see_other(f"/batches/{number}")

        return handle

    async def retry_notifications(self, request: web.Request) -> web.StreamResponse:
        """Queue a batch's failed direct messages again."""
        number = number_in(request, "number")
        await self._service.retry_notifications_of_batch(request[VISITOR].actor, number)
        await self._reports.renew(number)
        return see_other(f"/batches/{number}")

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one batch. A batch ID instead of a number redirects to the number."""
        named = request.match_info["number"]
        if not (named.isascii() and named.isdigit()):
            raise web.HTTPFound(f"/batches/{await self._database.read(batches.find_by_id, named)}")
        return await page(request, "batch.html", **await self._shown(request))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Stream the changes of its page."""

        async def render() -> Mapping[str, str]:
            shown = await self._shown(request)
            return {
                "batch-status": await fragment(request, "batch_status.html", shown),
                "payouts": await fragment(request, "batch_payouts.html", shown),
                "entries": await fragment(request, "entries.html", shown),
                "announcement": await fragment(request, "batch_announcement.html", shown),
            }

        return await self._live.stream(request, render)

    async def _read_report(self, number: int) -> BatchReport:
        return await self._database.read(batches.report, number)

    async def _shown(self, request: web.Request) -> dict[str, Any]:
        number = number_in(request, "number")
        report = await self._reports.get(number)
        is_open = report.status is BatchStatus.PROPOSED
        summary = await self._database.read(proposals.summary, number) if is_open else None
        settled = report.users_paid + report.failed + report.skipped
        return {
            "now": self._database.now(),
            "report": report,
            "summary": summary,
            "reversals": await self._database.read(browsing.reversals_of, number),
            "settled": settled,
            "percent": 100 * settled // report.users_planned,
            "found": await self._payouts(request, report),
            "chosen": request.query.get("status", ""),
            "wanted_referrer": request.query.get("referrer", ""),
            "query": request.query_string,
            "entries": await self._database.read(audit_log.entries, limit=ENTRIES_SHOWN, batch_number=number),
        }

    async def _payouts(self, request: web.Request, report: BatchReport) -> Page:
        """Read the payouts that the query selects: of one referrer, in one state, or all."""
        referrer_id = await person_named(self._database, request.query.get("referrer", "").strip())
        if referrer_id is not None:
            rows = await self._database.read(payout_pages.payout_of, report.batch_number, referrer_id)
            return Page(rows=rows, next_after=None)
        chosen = request.query.get("status", "")
        status = PayoutStatus(chosen) if chosen in list(PayoutStatus) else None
        settled = {
            PayoutStatus.CREDITED: report.users_paid,
            PayoutStatus.FAILED: report.failed,
            PayoutStatus.SKIPPED: report.skipped,
        }
        if status is not None and not settled.get(status, report.users_planned - sum(settled.values())):
            return Page(rows=[], next_after=None)
        return await self._database.read(
            payout_pages.payouts_page,
            report.batch_number,
            after_referrer_id=number_in(request, "after"),
            limit=PAYOUTS_ON_A_PAGE,
            status=status,
        )

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Send all payouts of a batch as CSV, or as XLSX."""
        suffix = request.match_info["suffix"]
        report = await self._reports.get(number_in(request, "number"))
        name = report.batch_id or f"batch-{report.batch_number}"
        disposition = f'attachment; filename="{name}.{suffix}"'
        headers = {"Content-Type": payout_file.CONTENT_TYPES[suffix], "Content-Disposition": disposition}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        async for piece in payout_file.pieces_of(self._database, report, suffix):
            await response.write(piece)
        return response


def _net(found: Page) -> int:
    """Sum up what the ended batches of a page paid, less what was reversed."""
    return sum(row["credited_cents"] - row["reversed_cents"] for row in found.rows)
