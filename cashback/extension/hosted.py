"""The program inside a bot, from its start to its stop. Our own bot runs it, and so does the extension in any other."""

import logging
from collections.abc import Callable
from typing import Final, Self

import anyio
import anyio.abc

from cashback.cogs.gateway import discord_clock
from cashback.cogs.gateway.configuration_check import StartError, is_real_discord
from cashback.cogs.gateway.gateway_status import Client
from cashback.database import Database, closed_ledger, samples
from cashback.database.payouts import batches
from cashback.domain.errors import CashbackError
from cashback.domain.languages import replace_sentences
from cashback.domain.money import use_money_style
from cashback.extend import Additions
from cashback.extension.wiring import NOTHING_ADDED, Reread, Services
from cashback.settings import Settings

STOPPING_SECONDS: Final = 3

logger = logging.getLogger(__name__)


class Hosted:
    """Runs in a bot on an open ledger. Start `run` in a task group."""

    def __init__(self, services: Services, database: Database) -> None:
        self.services = services
        self._database = database
        self._stop = anyio.Event()
        self._stopped = anyio.Event()

    @classmethod
    async def wired(
        cls,
        client: Client,
        settings: Settings,
        database: Database,
        *,
        reread: Reread | None = None,
        additions: Additions = NOTHING_ADDED,
        restart: Callable[[], None] | None = None,
    ) -> Self:
        """Wire the services on an open ledger.

        Raises StartError if the admin role is not configured or the ledger is a sample, and LedgerMovedError if it was
        moved.
        """
        use_money_style(settings.money_style)
        replace_sentences(settings.replaced_sentences)
        await database.read(closed_ledger.require_open)
        await refuse_sample(database)
        built = Services.build(client, settings, database, reread=reread, additions=additions, restart=restart)
        return cls(built, database)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until `stop`; then finish the current chunk and return. It has started when the bot has its commands.

        Raises StartError, alone or in a group, if Discord or the configuration prevents the start. Then the bot is as
        it was before.
        """
        host = self.services.host
        async with self.services.runner:
            await host.add()
            try:
                await self._pay_until_stopped(task_status)
            finally:
                with anyio.CancelScope(shield=True):
                    await host.remove()
                self._stopped.set()

    async def _pay_until_stopped(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        services = self.services
        async with services.lease, anyio.create_task_group() as tasks:
            await services.acquire_lease()
            self._start_tasks(tasks)
            task_status.started()
            async with anyio.create_task_group() as paying:
                paying.start_soon(services.lease.keep, services.run_paying_duties, name="paying duties")
                await self._stop.wait()
                paying.cancel_scope.cancel()
            # The current chunk is finished here: a cancelled task still waits for its worker thread's transaction.
            await self._show_stopping()
            tasks.cancel_scope.cancel()

    async def stop(self) -> None:
        """Finish the current chunk, and return when nothing runs any more."""
        self._stop.set()
        await self._stopped.wait()

    def _start_tasks(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start what every process does, also one that does not pay."""
        services = self.services
        tasks.start_soon(services.host.running_check.run, name="configuration check")
        tasks.start_soon(discord_clock.keep_comparing, services.service.clock_check, name="clock")
        tasks.start_soon(services.summary_updater.run, name="summary updater")
        tasks.start_soon(services.note_sender.run, name="note sender")
        if services.membership_check is not None:
            tasks.start_soon(services.membership_check.run, name="membership check")
        if services.dashboard is not None:
            tasks.start_soon(services.dashboard.run, name="dashboard")
            tasks.start_soon(services.name_check.run, name="name check")

    async def _show_stopping(self) -> None:
        """Log and show on Discord what is left for the next start. An error is logged and does not prevent the stop."""
        try:
            for number in await self._database.read(batches.unfinished):
                report = await self._database.read(batches.report, number)
                logger.info(
                    "stopped: batch %s has paid %d of %d; the next start continues it",
                    report.batch_id,
                    report.users_paid,
                    report.users_planned,
                    extra={"batch_id": report.batch_id, "batch_number": number},
                )
            with anyio.move_on_after(STOPPING_SECONDS):
                await self.services.summary_updater.show_stopping()
        except CashbackError as error:
            logger.warning("stopped; what is left could not be shown: %s", error)


async def refuse_sample(database: Database) -> None:
    """Raise StartError for a ledger with invented members, if the bot would run on the real Discord."""
    if is_real_discord() and await database.read(samples.is_sample):
        raise StartError(
            f"Database {database.name} is a sample with invented members (`cashback seed`); the bot does not run on it"
            " with a real token. Name your ledger with --database or CASHBACK_DATABASE."
        )
