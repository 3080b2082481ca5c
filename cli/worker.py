"""`worker`: credits approved batches next to the bot and other workers; each takes chunks that no other has claimed.

It only runs batches: no lease, no Discord, no schedule. The bot sends the direct messages for what it credits.
"""

import logging
import signal
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import anyio
import typer

from cashback import logs
from cashback.background.recovery import Recovery
from cashback.background.wakeup import WakeUp
from cashback.dashboard import CountingObserver, Dashboard, Dependencies, Metrics
from cashback.database import Database, closed_ledger
from cashback.domain.errors import RolesUnknownError
from cashback.services import AdminService
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption
from pipeline.runner import Runner
from stages import make_pipeline

POLL_SECONDS: Final = 1.0
"""Seconds between looks for batches, and before a batch that was interrupted here is tried again."""

logger = logging.getLogger(__name__)


def command(
    context: typer.Context,
    *,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Serve /metrics, /healthz and /readyz on this port of dashboard.host."),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Work until SIGTERM or SIGINT, and finish the current chunk."""
    settings = Place.of(context, config, database).settings()
    logs.set_up(level=settings.log_level)
    anyio.run(work_until_signal, settings, metrics_port)
    logger.info("stopped")
    return 0


async def work_until_signal(settings: Settings, metrics_port: int | None = None) -> None:
    """Work on the ledger that the settings name. Raises LedgerMovedError if it was moved."""
    metrics = Metrics()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with ledger(settings, create=True) as database:
            await database.read(closed_ledger.require_open)
            recovery = Recovery(
                database,
                summaries_changed=WakeUp(),
                batches_due=WakeUp(),
                post_line=_add_no_note,
                resume_seconds=POLL_SECONDS,
                poll_seconds=POLL_SECONDS,
            )
            observer = CountingObserver(metrics, recovery)
            make = partial(
                make_pipeline,
                database=database,
                observer=observer,
                outbox_changed=WakeUp(),
                chunk_size=settings.referral_settings.chunk_size,
            )
            async with Runner(make, observer) as runner, anyio.create_task_group() as tasks:
                tasks.start_soon(runner.run, name="runner")
                tasks.start_soon(recovery.run, runner.submit, name="batches")
                if metrics_port is not None:
                    server = operations_server(settings, metrics_port, database, metrics, lambda: runner.unsettled)
                    tasks.start_soon(server.run, name="metrics")
                logger.info("working on %s", database.name)
                async for received in signals:
                    logger.info("%s: stopping after the current chunk", received.name)
                    tasks.cancel_scope.cancel()


def operations_server(
    settings: Settings, port: int, database: Database, metrics: Metrics, waiting: Callable[[], int]
) -> Dashboard:
    """Return the server of the worker's metrics and health; it has no pages and takes no deliveries."""
    address = settings.dashboard.model_copy(update={"port": port, "public_url": None})
    served = settings.model_copy(update={"dashboard": address})
    dependencies = Dependencies(
        roles_of=_know_no_roles, is_online=None, waiting=waiting, metrics=metrics, is_worker=True
    )
    return Dashboard(database, AdminService(database, served, lambda _number: 0), served, dependencies)


async def _know_no_roles(_user_id: int | None) -> frozenset[int]:
    raise RolesUnknownError


async def _add_no_note(_line: str) -> None:
    """Add nothing to the log's line: a worker has no audit channel."""
