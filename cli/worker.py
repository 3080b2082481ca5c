"""`worker`: credits approved batches next to the bot and other workers; each takes chunks that no other has claimed.

It only runs batches: no lease, no Discord, no schedule. The bot sends the direct messages for what it credits.
"""

import logging
import signal
from functools import partial
from typing import Final

import anyio
import typer

from cashback import logs
from cashback.background.recovery import Recovery
from cashback.background.wakeup import WakeUp
from cashback.database import closed_ledger
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption
from pipeline.runner import Runner
from stages import make_pipeline

POLL_SECONDS: Final = 1.0
"""Seconds between looks for batches, and before a batch that was interrupted here is tried again."""

logger = logging.getLogger(__name__)


def command(context: typer.Context, *, config: ConfigOption = None, database: DatabaseOption = None) -> int:
    """Work until SIGTERM or SIGINT, and finish the current chunk."""
    settings = Place.of(context, config, database).settings()
    logs.set_up(level=settings.log_level)
    anyio.run(work_until_signal, settings)
    logger.info("stopped")
    return 0


async def work_until_signal(settings: Settings) -> None:
    """Work on the ledger that the settings name. Raises LedgerMovedError if it was moved."""
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
            make = partial(
                make_pipeline,
                database=database,
                observer=recovery,
                outbox_changed=WakeUp(),
                chunk_size=settings.referral_settings.chunk_size,
            )
            async with Runner(make, recovery) as runner, anyio.create_task_group() as tasks:
                tasks.start_soon(runner.run, name="runner")
                tasks.start_soon(recovery.run, runner.submit, name="batches")
                logger.info("working on %s", database.name)
                async for received in signals:
                    logger.info("%s: stopping after the current chunk", received.name)
                    tasks.cancel_scope.cancel()


async def _add_no_note(_line: str) -> None:
    """Add nothing to the log's line: a worker has no audit channel."""
