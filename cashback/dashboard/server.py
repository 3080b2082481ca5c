"""The dashboard's server. If it fails it is restarted; the rest of the program keeps working."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import anyio
from aiohttp import web

from cashback import logs
from cashback.dashboard import middleware, pages
from cashback.dashboard.audit import AuditPage, Verifier
from cashback.dashboard.auth import RolesOf, SessionAuth
from cashback.dashboard.batches import Batches
from cashback.dashboard.connections import IDLE_SECONDS, Connections
from cashback.dashboard.deliveries import DeliveriesPage
from cashback.dashboard.health import Health
from cashback.dashboard.intake import Intake
from cashback.dashboard.ledger_metrics import LedgerMetrics
from cashback.dashboard.listener import Listener
from cashback.dashboard.live import Live
from cashback.dashboard.metrics import Metrics
from cashback.dashboard.metrics_page import MetricsPage, ProcessState
from cashback.dashboard.openapi import Description
from cashback.dashboard.orders import OrdersPage
from cashback.dashboard.overview import OverviewPage
from cashback.dashboard.people import PEOPLE, People
from cashback.dashboard.referrers import Referrers
from cashback.dashboard.request_log import RequestLog
from cashback.dashboard.schedule import SchedulePage
from cashback.dashboard.search import Search
from cashback.dashboard.settings_page import SettingsPage
from cashback.dashboard.shop_intake import ShopIntake
from cashback.dashboard.sign_in import SignIn
from cashback.dashboard.snapshot import Snapshot
from cashback.dashboard.wallets import WalletsPage
from cashback.dashboard.webhooks import WebhooksPage
from cashback.dashboard.withdrawals import WithdrawalsPage
from cashback.database import Database
from cashback.domain.ports import Page
from cashback.services import AdminService
from cashback.settings import Settings

RETRY_SECONDS: Final = 30
STOP_SECONDS: Final = 2
LINGER_SECONDS: Final = 2
LARGEST_BODY_BYTES: Final = 1_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The parts of the program that the dashboard asks.

    `is_online` is None if the process does not connect to Discord; `waiting` counts the runner's batches; `is_paying`
    is None if the process never holds the lease. `place_name` names a role or a channel by its id, if the process
    knows it. A worker serves health and metrics only.
    """

    roles_of: RolesOf
    is_online: Callable[[], bool] | None
    waiting: Callable[[], int]
    metrics: Metrics
    is_paying: Callable[[], bool] | None = None
    place_name: Callable[[int], str | None] = lambda _: None
    pages: tuple[Page, ...] = ()
    is_worker: bool = False


class Dashboard:
    """Serves pages, intake and metrics on one address."""

    def __init__(
        self, database: Database, service: AdminService, settings: Settings, dependencies: Dependencies
    ) -> None:
        self._settings = settings.dashboard
        self._metrics = dependencies.metrics
        self._session_auth = SessionAuth(service, dependencies.roles_of, settings.dashboard)
        self._request_log = RequestLog()
        self._connections = Connections(is_proxied=self._settings.is_proxied)
        self._live = Live(self._session_auth)
        self._people = People(database)
        self._snapshot = Snapshot(database, min_payout_cents=settings.referral_settings.min_payout_cents)
        self._health = Health(database, dependencies.is_online)
        self._intake = Intake(database, service, settings)
        self._shop_intake = ShopIntake(database, service, settings)
        operations = (self._health, self._metrics_page(database, service, settings, dependencies))
        pages_and_intake = (
            OverviewPage(database, service, self._snapshot, self._health, self._live),
            Batches(database, service, self._live),
            Referrers(database, service, self._snapshot, settings),
            Search(database),
            SchedulePage(database, service),
            SettingsPage(database, service, settings, dependencies.place_name),
            WalletsPage(database),
            WebhooksPage(database, service),
            WithdrawalsPage(database, service),
            OrdersPage(database, service),
            DeliveriesPage(database, service),
            AuditPage(database, Verifier(database, service)),
            SignIn(database, self._session_auth, settings),
            self._intake,
            self._shop_intake,
            Description(database, settings),
        )
        self._routes: tuple[Page, ...] = (
            operations if dependencies.is_worker else (*pages_and_intake, *dependencies.pages, *operations)
        )
        self.listening = anyio.Event()

    def _metrics_page(
        self, database: Database, service: AdminService, settings: Settings, dependencies: Dependencies
    ) -> MetricsPage:
        metrics = dependencies.metrics
        ledger = None
        if not dependencies.is_worker:
            is_a_file = isinstance(database.location, Path)
            ledger = LedgerMetrics(metrics.registry, is_backed_up_by_us=is_a_file), self._snapshot
        state = ProcessState(
            waiting=dependencies.waiting,
            dropped_log_lines=lambda: self._request_log.dropped + logs.writer().dropped,
            is_paying=dependencies.is_paying,
            clock_check=service.clock_check,
        )
        token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
        return MetricsPage(metrics, self._health, state, token, ledger=ledger)

    def application(self) -> web.Application:
        """Build the application: middleware, templates and routes."""
        every_request = middleware.Middleware(
            self._session_auth,
            self._metrics,
            self._connections,
            self._request_log,
            self._settings,
        )

        @web.middleware
        async def answer(request: web.Request, handler: middleware.Handler) -> web.StreamResponse:
            return await every_request.answer(request, handler)

        app = web.Application(middlewares=[answer], client_max_size=LARGEST_BODY_BYTES)
        app.on_response_prepare.append(middleware.add_headers)
        pages.set_up(app)
        app[PEOPLE] = self._people
        for part in self._routes:
            app.router.add_routes(part.routes())
        return app

    async def run(self) -> None:
        """Serve until cancelled. If it fails it tries again: payouts do not depend on the pages."""
        while True:
            try:
                await self.serve()
            except OSError as error:
                logger.warning(
                    "the dashboard cannot listen on %s port %d (%s); it tries again in %d s",
                    self._settings.host,
                    self._settings.port,
                    error.strerror or error,
                    RETRY_SECONDS,
                )
            except Exception:
                logger.exception("the dashboard failed; it tries again in %d s", RETRY_SECONDS)
            await anyio.sleep(RETRY_SECONDS)

    async def serve(self) -> None:
        """Serve until cancelled. Raises OSError if the address cannot be bound."""
        runner = web.AppRunner(
            self.application(),
            access_log=None,
            shutdown_timeout=STOP_SECONDS,
            logger=self._request_log,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGER_SECONDS,
        )
        await runner.setup()
        listener = Listener(self._connections, cast("web.Server", runner.server), self._request_log)
        try:
            sockets = await listener.bind(self._settings.host, self._settings.port)
            logger.info("the dashboard is at %s", self._settings.address)
            self.listening.set()
            async with anyio.create_task_group() as tasks:
                for listening in sockets:
                    tasks.start_soon(listener.accept, listening, name="dashboard connections")
                tasks.start_soon(listener.close_overdue, name="dashboard time limits")
                tasks.start_soon(self._session_auth.sweep, name="dashboard sessions")
                tasks.start_soon(self._snapshot.keep, name="dashboard sums")
                tasks.start_soon(self._health.measure_lag, name="loop lag")
        finally:
            listener.close()
            self._live.close()
            with anyio.CancelScope(shield=True):
                await runner.cleanup()
