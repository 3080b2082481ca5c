"""A worker: credits what is approved, beside the bot and other workers, each taking chunks that nobody has in hand.

It is a runner and no more: no lease, no Discord, no schedule. Of what it credits the bot tells the payees.
"""

import logging
import signal
from functools import partial
from typing import Final

import anyio

from cashback import logs
from cashback.background.recovery import Recovery
from cashback.background.wakeup import WakeUp
from cashback.settings import Settings
from cli.context import Place, ledger
from pipeline.runner import Runner
from stages import make_pipeline

POLL_SECONDS: Final = 1.0
"""How often the ledger is asked for batches, and how soon one is tried again that stopped here."""

logger = logging.getLogger(__name__)


def work(place: Place) -> int:
    """Work until SIGTERM or SIGINT; the chunk in hand is finished. Return the exit code."""
    settings = place.settings()
    logs.set_up()
    anyio.run(_work_until_signal, settings)
    logger.info("stopped")
    return 0


async def _work_until_signal(settings: Settings) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with ledger(settings, create=True) as database:
            runs = Recovery(
                database,
                summaries_changed=WakeUp(),
                batches_due=WakeUp(),
                tell=_say_no_more,
                resume_seconds=POLL_SECONDS,
                poll_seconds=POLL_SECONDS,
            )
            make = partial(
                make_pipeline,
                database=database,
                observer=runs,
                outbox_changed=WakeUp(),
                chunk_size=settings.referral_settings.chunk_size,
            )
            async with Runner(make, runs) as runner, anyio.create_task_group() as tasks:
                tasks.start_soon(runner.run, name="runner")
                tasks.start_soon(runs.run, runner.submit, name="batches")
                logger.info("working on %s", database.name)
                async for received in signals:
                    logger.info("%s: stopping when the chunk in hand is finished", received.name)
                    tasks.cancel_scope.cancel()


async def _say_no_more(_line: str) -> None:
    """Leave it at what the log says already: a worker has no audit channel."""
