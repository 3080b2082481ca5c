"""The bot: one process, one task group with the connection and the announcer, and the duties of whoever may pay.

The money does not depend on Discord: a batch runs on while the connection is gone, and a stop finishes the chunk in
hand.
"""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import anyio

from cashback import logs
from cashback.background.lease import Lease
from cashback.background.outbox_dispatcher import OutboxDispatcher
from cashback.background.payout_retries import keep_retrying
from cashback.background.recovery import Recovery
from cashback.background.wakeup import WakeUp
from cashback.cogs.admin import AdminCommands
from cashback.cogs.buttons.confirm import BatchButtons
from cashback.cogs.buttons.history_pager import HistoryPager
from cashback.cogs.buttons.reversals import Reversals
from cashback.cogs.buttons.skip_slot import SkipSlot
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.gateway.client import CashbackClient
from cashback.cogs.gateway.connection import Needs, StartError, point_at, stay_connected
from cashback.cogs.gateway.doctor import Doctor
from cashback.cogs.gateway.membership_check import MembershipCheck
from cashback.cogs.gateway.roles import Roles
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.members import MemberCommands
from cashback.cogs.posts.audit_channel import AuditChannel
from cashback.cogs.posts.messenger import DmSender
from cashback.cogs.posts.note_sender import NoteSender
from cashback.cogs.posts.slot_posts import SlotPosts
from cashback.cogs.posts.summary_updater import SummaryUpdater
from cashback.cogs.texts.member_embeds import ProgramTerms
from cashback.dashboard import CountingMessenger, CountingObserver, Dashboard, Dependencies, Metrics
from cashback.database import Database
from cashback.database.fenced import FencedDatabase
from cashback.database.payouts import batches
from cashback.domain.errors import CashbackError
from cashback.services import AdminService
from cashback.settings import Settings, SettingsError, load
from pipeline.runner import Runner
from scheduler import Scheduler
from stages import make_pipeline

FAREWELL_SECONDS: Final = 3
LAST_RESORT_SECONDS: Final = 8
"""A stop may take ten seconds. What still waits then, say for a locked file, is rolled back and goes on later."""

Reread = Callable[[], Settings]
"""Reads the configuration anew."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that runs, wired together."""

    client: CashbackClient
    runner: Runner
    runs: Recovery
    postman: OutboxDispatcher
    courier: NoteSender
    announcer: SummaryUpdater
    scheduler: Scheduler
    dashboard: Dashboard
    service: AdminService
    needs: Needs
    lease: Lease
    summaries_changed: WakeUp

    @classmethod
    async def build(cls, settings: Settings, database: Database, *, reread: Reread | None = None) -> Self:
        """Wire the house. Raises StartError where nobody is configured who may pay."""
        needs = Needs(
            admin_role_id=required_admin_role(settings),
            role_ids=settings.role_ids,
            audit_channel_id=settings.logging_channels.audit,
            guild_ids=settings.guild_ids,
        )
        referral = settings.referral_settings
        outbox_changed, summaries_changed = WakeUp(), WakeUp()
        client = CashbackClient(
            summaries_changed, Claims(database), prefix=settings.bot_prefix, guild_ids=settings.guild_ids
        )
        lease = Lease(database, seconds=referral.lease_seconds)
        audit_channel = AuditChannel(
            client,
            database,
            summaries_changed,
            channel_id=settings.logging_channels.audit,
            is_on_duty=lambda: lease.is_held,
        )
        runs = Recovery(
            database,
            summaries_changed=summaries_changed,
            batches_due=WakeUp(),
            tell=audit_channel.tell,
            poll_seconds=lease.poll_seconds,
        )
        metrics = Metrics()
        observer = CountingObserver(metrics, runs)
        make = partial(
            make_pipeline,
            database=FencedDatabase(database, lease.require),
            observer=observer,
            outbox_changed=outbox_changed,
            chunk_size=referral.chunk_size,
        )
        runner = Runner(make, observer)
        submit = runs.guard(runner.submit)
        # Who does not pay leaves a batch approved in the ledger, where the one who does finds it.
        service = AdminService(database, settings, lambda number: submit(number) if lease.is_held else 0, reread=reread)
        audit_channel.slot_posts = SlotPosts(client, database, service)
        client.decisions, client.holds = (
            BatchButtons(database, service, summaries_changed),
            SkipSlot(service, summaries_changed),
        )
        messenger = DmSender(client, brand_name=settings.brand_name, assure=lease.assure)
        postman = OutboxDispatcher(
            database,
            CountingMessenger(metrics, messenger),
            outbox_changed,
            per_second=referral.dm_per_second,
            retry_attempts=referral.dm_retry_attempts,
        )
        courier = NoteSender(database, messenger, postman.turns, WakeUp())
        client.browser = HistoryPager(database, service)
        client.doctor = Doctor(database, service, settings)
        client.programme = MemberFacts(database, program_terms_of(settings))
        await client.add_cog(
            AdminCommands(database, service, summaries_changed, client.programme, courier, audit_channel.tell)
        )
        await client.add_cog(MemberCommands(database, service, client.programme, courier))
        client.reversals = Reversals(database, service, audit_channel.tell, courier)
        announcer = SummaryUpdater(
            client,
            database,
            service,
            summaries_changed,
            audit_channel,
            reasons=runs.reasons,
            progress_seconds=referral.progress_seconds,
            is_on_duty=lambda: lease.is_held,
        )
        return cls(
            client=client,
            runner=runner,
            runs=runs,
            postman=postman,
            courier=courier,
            announcer=announcer,
            dashboard=Dashboard(
                database,
                service,
                settings,
                Dependencies(
                    roles_of=Roles(client, settings.guild_ids).of,
                    is_online=lambda: client.is_online,
                    waiting=lambda: runner.unsettled,
                    metrics=metrics,
                ),
            ),
            service=service,
            scheduler=Scheduler(service, database, tell=audit_channel.tell, wake=summaries_changed.set),
            needs=needs,
            lease=lease,
            summaries_changed=summaries_changed,
        )

    async def begin(self) -> None:
        """Where nobody else pays, do so from the first question on: it may ask for the schedule that is in force."""
        try:
            if await self.lease.take():
                await self.service.open_schedule()
        except CashbackError as error:
            logger.warning("the schedule waits: %s", error)

    async def pay(self) -> None:
        """Do what only one process on a ledger does: run batches, ring the slots, send payouts' direct messages."""
        try:
            await self.runs.resubmit_unfinished()
        except CashbackError as error:
            logger.warning("unfinished batches wait: %s", error)
        self.summaries_changed.set()
        async with anyio.create_task_group() as duties:
            duties.start_soon(self.postman.run, name="postman")
            duties.start_soon(self.runner.run, name="runner")
            duties.start_soon(self.scheduler.run, name="weekly batch")
            duties.start_soon(self.runs.run, self.runner.submit, name="resumption")
            duties.start_soon(keep_retrying, self.service, name="retries")


def program_terms_of(settings: Settings) -> ProgramTerms:
    """Collect what the programme promises its members."""
    referral = settings.referral_settings
    return ProgramTerms(
        cashback_percent=referral.cashback_percent,
        min_payout_cents=referral.min_payout_cents,
        holding_days=referral.holding_days,
        holds_leavers=referral.leaver_policy == "hold",
    )


def required_admin_role(settings: Settings) -> int:
    """Return the role that may pay. Raises StartError where none is configured."""
    if settings.role_ids.admin is None:
        raise StartError("role_ids.admin is not set in config.json; without it nobody may pay. Set it to a role's id.")
    return settings.role_ids.admin


def required_token(settings: Settings) -> str:
    """Return the token. Raises StartError where there is none."""
    if settings.discord_token is None:
        raise StartError("DISCORD_TOKEN is not set; put the bot's token into the environment or into .env.")
    return settings.discord_token.get_secret_value()


async def serve(settings: Settings, database: Database, stop: anyio.Event, *, reread: Reread | None = None) -> None:
    """Run the bot on an open ledger until `stop` is set; then finish the chunk in hand and leave.

    `reread` reads the configuration anew when an admin asks for it; without it, it never changes.

    Raises StartError, alone or in a group, where Discord or the configuration does not let the bot start.
    """
    token = required_token(settings)
    if settings.discord_api_url is not None:
        point_at(settings.discord_api_url)
    house = await Services.build(settings, database, reread=reread)
    async with house.lease, house.runner, anyio.create_task_group() as around:
        await house.begin()
        around.start_soon(stay_connected, house.client, token, house.needs, name="discord")
        around.start_soon(house.announcer.run, name="announcer")
        around.start_soon(house.courier.run, name="courier")
        if settings.referral_settings.leaver_policy == "hold":
            roll_call = MembershipCheck(house.client, database, settings.guild_ids)
            around.start_soon(roll_call.run, name="roll call")
        if settings.dashboard.enabled:
            around.start_soon(house.dashboard.run, name="dashboard")
        async with anyio.create_task_group() as money:
            money.start_soon(house.lease.keep, house.pay, name="paying")
            await stop.wait()
            money.cancel_scope.cancel()
        # The chunk in hand was finished: a worker thread's transaction is waited for, also by who is cancelled.
        await _say_goodbye(database, house.announcer)
        around.cancel_scope.cancel()


async def _say_goodbye(database: Database, announcer: SummaryUpdater) -> None:
    """Say in the log and on Discord what is left for the next start. A stop never fails for it."""
    try:
        for number in await database.read(batches.unfinished):
            report = await database.read(batches.report, number)
            logger.info(
                "stopped: batch %s has paid %d of %d; it goes on at the next start",
                report.batch_id,
                report.users_paid,
                report.users_planned,
                extra={"batch_id": report.batch_id, "batch_number": number},
            )
        with anyio.move_on_after(FAREWELL_SECONDS):
            await announcer.farewell()
    except CashbackError as error:
        logger.warning("stopped; what is left could not be said: %s", error)


async def serve_until_signal(settings: Settings, *, reread: Reread | None = None) -> None:
    """Open the ledger and run the bot until SIGTERM or SIGINT. Raises what `serve` raises, alone or in a group."""
    # What is loaded by now lives as long as the process. The collector's walk through it held the loop for 50 ms.
    gc.collect()
    gc.freeze()
    stop = anyio.Event()
    terms = settings.referral_settings
    ledger = Database(settings.database, rate_ppm=terms.rate_ppm, holding_days=terms.holding_days)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with ledger as database, anyio.create_task_group() as tasks:

            async def listen() -> None:
                async for received in signals:
                    logger.info("%s: stopping when the chunk in hand is finished", received.name)
                    _leave_at_last()
                    stop.set()

            tasks.start_soon(listen, name="signals")
            await serve(settings, database, stop, reread=reread)
            tasks.cancel_scope.cancel()


def _leave_at_last() -> None:
    """End the process when a stop takes too long. As after a crash, the ledger holds all that the next start needs."""
    last_resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, [0])
    last_resort.daemon = True
    last_resort.start()


def main(settings: Settings, *, reread: Reread | None = None) -> int:
    """Run the bot until SIGTERM or SIGINT; return the exit code. What is wrong is one line on standard error."""
    logs.set_up()
    try:
        required_token(settings)
        required_admin_role(settings)
        anyio.run(partial(serve_until_signal, settings, reread=reread), backend="asyncio")
    except Exception as error:
        reason = _first_of(error)
        if not isinstance(reason, CashbackError):
            raise
        sys.stderr.write(f"error: {' '.join(str(reason).split())}\n")
        return 1
    logger.info("stopped")
    return 0


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    try:
        loaded = load()
        for warning in loaded.warnings:
            sys.stderr.write(f"warning: {warning}\n")
        sys.exit(main(loaded, reread=load))
    except SettingsError as wrong:
        sys.stderr.write(f"error: {wrong}\n")
        sys.exit(1)
