"""`/metrics`: it shares the pages' sums over the ledger, so that frequent scrapes cost nothing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cashback.dashboard.auth import is_same
from cashback.dashboard.client_address import is_loopback
from cashback.dashboard.health import Health
from cashback.dashboard.ledger_metrics import LedgerMetrics
from cashback.dashboard.metrics import UNKNOWN, Metrics
from cashback.dashboard.snapshot import Snapshot
from cashback.domain.clock import ClockCheck
from cashback.domain.errors import CashbackError

PROXY_HEADERS: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """What the page asks the process: the runner's batches, dropped log lines, the lease and the clock.

    `is_paying` is None if the process never pays by a lease.
    """

    waiting: Callable[[], int]
    dropped_log_lines: Callable[[], int]
    is_paying: Callable[[], bool] | None
    clock_check: ClockCheck


def _may_read(request: web.Request, token: str | None) -> bool:
    """Return whether a request may read the metrics: with the token or, if none is set, from this machine only."""
    if token is not None:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return is_same(sent, token)
    if any(name in request.headers for name in PROXY_HEADERS):
        # A proxy on this machine passed on a request from another machine.
        return False
    # A page of another site can make its own name point to this machine, but not send another Host.
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
    return is_loopback(request.remote or "") and (host.lower() == "localhost" or is_loopback(host))


class MetricsPage:
    """Answers with the process's metrics and, unless it is a worker's, with the ledger's."""

    def __init__(
        self,
        metrics: Metrics,
        health: Health,
        state: ProcessState,
        token: str | None,
        *,
        ledger: tuple[LedgerMetrics, Snapshot] | None,
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._state = state
        self._token = token
        self._ledger = ledger

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/metrics", self.show)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer with all metrics. Raises HTTPForbidden."""
        if not _may_read(request, self._token):
            raise web.HTTPForbidden(reason="The metrics may be read from this machine only, or with the metrics token")
        await self._show_ledger()
        await self._show_process()
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _show_ledger(self) -> None:
        """Show the ledger's state. If it cannot be read, the last one stays, and the health of the ledger says so."""
        if self._ledger is None:
            return
        gauges, snapshot = self._ledger
        try:
            gauges.show(await snapshot.get())
        except CashbackError as error:
            logger.warning("the metrics show old sums: %s", error)

    async def _show_process(self) -> None:
        metrics, state = self._metrics, self._state
        metrics.waiting.set(state.waiting())
        metrics.dropped_log_lines.set(state.dropped_log_lines())
        metrics.lag_seconds.set(self._health.lag_seconds)
        metrics.lease_held.set(UNKNOWN if state.is_paying is None else int(state.is_paying()))
        metrics.clock_doubted.set(int(state.clock_check.is_doubted))
        for check in await self._health.checks():
            metrics.healthy.labels(check.name).set(int(check.is_healthy))
