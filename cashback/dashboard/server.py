"""The dashboard's server: the application with all its rooms, served until it is cancelled, and never anybody's end."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
from aiohttp import web

from cashback.dashboard import middleware, pages
from cashback.dashboard.audit import AuditPage, Proofs
from cashback.dashboard.auth import RolesOf, SessionAuth
from cashback.dashboard.batches import Batches
from cashback.dashboard.health import Health
from cashback.dashboard.intake import Intake
from cashback.dashboard.live import Live
from cashback.dashboard.metrics import Metrics, MetricsPage
from cashback.dashboard.openapi import Description
from cashback.dashboard.overview import OverviewPage
from cashback.dashboard.referrers import Referrers
from cashback.dashboard.schedule import SchedulePage
from cashback.dashboard.sign_in import SignIn
from cashback.dashboard.snapshot import Snapshot
from cashback.database import Database
from cashback.services import AdminService
from cashback.settings import Settings

RETRY_SECONDS: Final = 30
STOP_SECONDS: Final = 2
LARGEST_BODY_BYTES: Final = 1_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What the dashboard asks of the rest of the program.

    `is_online` is None where nobody means to connect to Discord; `waiting` counts the batches that the runner has.
    """

    roles_of: RolesOf
    is_online: Callable[[], bool] | None
    waiting: Callable[[], int]
    metrics: Metrics


class Dashboard:
    """Serves pages, intake and metrics on one address."""

    def __init__(self, database: Database, service: AdminService, settings: Settings, world: Dependencies) -> None:
        """Take the ledger for reading, the service, the settings, and the rest of the program."""
        self._settings = settings.dashboard
        self._metrics = world.metrics
        self._doorman = SessionAuth(service, world.roles_of, settings.dashboard)
        self._live = Live(self._doorman)
        self._snapshot = Snapshot(database, min_payout_cents=settings.referral_settings.min_payout_cents)
        self._health = Health(database, world.is_online)
        self._intake = Intake(database, service, settings)
        self._rooms = (
            OverviewPage(database, self._snapshot, self._health, self._live),
            Batches(database, service, self._live),
            Referrers(database, service, self._snapshot, settings),
            SchedulePage(database, service),
            AuditPage(database, Proofs(database, service, world.metrics)),
            SignIn(database, self._doorman, settings),
            self._intake,
            Description(database, settings),
            self._health,
            MetricsPage(
                world.metrics,
                self._snapshot,
                self._health,
                world.waiting,
                settings.metrics_token.get_secret_value() if settings.metrics_token else None,
            ),
        )
        self.listening = anyio.Event()

    def application(self) -> web.Application:
        """Put the rooms behind the front."""
        before_all = middleware.Front(self._doorman, self._metrics)

        @web.middleware
        async def answer(request: web.Request, handler: middleware.Handler) -> web.StreamResponse:
            return await before_all.answer(request, handler)

        app = web.Application(middlewares=[answer], client_max_size=LARGEST_BODY_BYTES)
        app.on_response_prepare.append(middleware.add_headers)
        pages.set_up(app)
        for room in self._rooms:
            app.router.add_routes(room.routes())
        return app

    async def run(self) -> None:
        """Serve until cancelled. Whatever fails here is tried again: the money's work goes on without pages."""
        while True:
            try:
                await self.serve()
            except OSError as error:
                logger.warning(
                    "the dashboard cannot listen on %s port %d (%s); it is tried again in %d s",
                    self._settings.host,
                    self._settings.port,
                    error.strerror or error,
                    RETRY_SECONDS,
                )
            except Exception:
                logger.exception("the dashboard failed; it is tried again in %d s", RETRY_SECONDS)
            await anyio.sleep(RETRY_SECONDS)

    async def serve(self) -> None:
        """Serve until cancelled. Raises OSError where the address cannot be listened on."""
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.host, self._settings.port).start()
            logger.info("the dashboard is at %s", self._settings.address)
            self.listening.set()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._doorman.sweep, name="dashboard sessions")
                tasks.start_soon(self._snapshot.keep, name="dashboard sums")
                tasks.start_soon(self._health.feel_lag, name="loop lag")
        finally:
            self._live.close()
            with anyio.CancelScope(shield=True):
                await runner.cleanup()
