"""The bot: one process with the Discord connection, and the duties of the process that pays.

Payouts do not depend on Discord: a batch continues while the connection is gone, and a stop finishes the current chunk.
"""

from cashback import early_start  # noqa: F401 -- it receives stop signals during the imports below

# isort: split
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Self
from urllib.parse import urlsplit

import anyio

from cashback import logs
from cashback.background.daily_verify import DailyVerify
from cashback.background.lease import Lease
from cashback.background.outbox_dispatcher import OutboxDispatcher
from cashback.background.payout_retries import keep_retrying
from cashback.background.recovery import Recovery
from cashback.background.wakeup import WakeUp
from cashback.cogs.admin import AdminCommands, CommandServices
from cashback.cogs.buttons import BUTTONS, ButtonServices
from cashback.cogs.buttons.history_pager import HistoryPager
from cashback.cogs.gateway import discord_clock
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.gateway.client import CashbackClient
from cashback.cogs.gateway.configuration_check import Needs, StartError
from cashback.cogs.gateway.connection import point_at, stay_connected
from cashback.cogs.gateway.doctor import Doctor
from cashback.cogs.gateway.membership_check import MembershipCheck
from cashback.cogs.gateway.name_check import NameCheck
from cashback.cogs.gateway.roles import Roles
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.members import MemberCommands
from cashback.cogs.posts.audit_channel import AuditChannel
from cashback.cogs.posts.audit_lines import AuditLines
from cashback.cogs.posts.messenger import DmSender
from cashback.cogs.posts.note_sender import NoteSender
from cashback.cogs.posts.slot_posts import SlotPosts
from cashback.cogs.posts.summary_updater import SummaryUpdater
from cashback.cogs.posts.withdrawal_notes import WithdrawalNotes
from cashback.cogs.texts.member_embeds import ProgramTerms
from cashback.dashboard import CountingMessenger, CountingObserver, Dashboard, Dependencies, Metrics
from cashback.database import Database, closed_ledger, samples
from cashback.database.fenced import FencedDatabase
from cashback.database.integrity.upgrade_backup import back_up_if_older
from cashback.database.payouts import batches
from cashback.domain.clock import ClockCheck
from cashback.domain.errors import CashbackError
from cashback.domain.money import use_money_style
from cashback.events import EventDispatcher
from cashback.services import AdminService
from cashback.settings import Settings, SettingsError, load
from cashback.standard_streams import open_missing
from cashback.stop_signals import stop_signals
from pipeline.runner import Runner
from scheduler import Scheduler
from stages import make_pipeline

STOPPING_SECONDS: Final = 3

CONFIGURATION_WRONG: Final = os.EX_CONFIG
"""The exit code that says to a service manager: a restart does not help."""

REAL_HOSTS: Final = ("discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com")

Reread = Callable[[], Settings]
"""Rereads the configuration."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All services of the bot, wired together."""

    needs: Needs
    service: AdminService
    client: CashbackClient
    lease: Lease
    runner: Runner
    recovery: Recovery
    scheduler: Scheduler
    outbox_dispatcher: OutboxDispatcher
    note_sender: NoteSender
    withdrawal_notes: WithdrawalNotes
    event_dispatcher: EventDispatcher
    daily_verify: DailyVerify | None
    summary_updater: SummaryUpdater
    dashboard: Dashboard
    summaries_changed: WakeUp

    @classmethod
    async def build(cls, settings: Settings, database: Database, *, reread: Reread | None = None) -> Self:
        """Build and wire the services. Raises StartError if the admin role is not configured."""
        referral = settings.referral_settings
        outbox_changed, summaries_changed = WakeUp(), WakeUp()
        lines = AuditLines(summaries_changed)
        needs = replace(needs_of(settings), post_line=lines.post_line)
        metrics = Metrics(settings.intake_keys)

        # Payouts: the lease, the runner of approved batches, and the requests of admins.
        lease = Lease(database, seconds=referral.lease_seconds)
        recovery = Recovery(
            database,
            summaries_changed=summaries_changed,
            batches_due=WakeUp(),
            post_line=lines.post_line,
            poll_seconds=lease.poll_seconds,
        )
        runner = build_runner(settings, database, lease, CountingObserver(metrics, recovery), outbox_changed)
        submit = recovery.wrap_submit(runner.submit)
        # A process that does not pay leaves the batch approved in the ledger. The paying process finds it there.
        clock_check = ClockCheck(timer=anyio.current_time, waits_for_discord=True)
        service = AdminService(
            database,
            settings,
            lambda number: submit(number) if lease.is_held else 0,
            reread=reread,
            clock_check=clock_check,
        )
        scheduler = Scheduler(service, database, post_line=lines.post_line, wake=summaries_changed.set)

        # Discord: the connection, direct messages, and the messages that follow the ledger.
        claims = Claims(database)
        client = CashbackClient(
            summaries_changed,
            claims,
            prefix=settings.bot_prefix,
            guild_ids=settings.guild_ids,
            clock_check=clock_check,
        )
        dm_sender = DmSender(client, brand_name=settings.brand_name, assure=lease.assure)
        outbox_dispatcher = OutboxDispatcher(
            database,
            CountingMessenger(metrics, dm_sender),
            outbox_changed,
            per_second=referral.dm_per_second,
            retry_attempts=referral.dm_retry_attempts,
        )
        note_sender = NoteSender(database, dm_sender, outbox_dispatcher.rate_limiter)
        audit_channel = AuditChannel(
            client,
            database,
            lines,
            SlotPosts(client, database, service),
            channel_id=settings.logging_channels.audit,
            is_on_duty=lambda: lease.is_held,
            terms=lambda: service.terms_line,
            admin_role_id=settings.role_ids.admin,
        )
        summary_updater = SummaryUpdater(
            client,
            database,
            service,
            summaries_changed,
            audit_channel,
            reasons=recovery.reasons,
            progress_seconds=referral.progress_seconds,
            is_on_duty=lambda: lease.is_held,
        )

        # Commands and buttons.
        member_facts = MemberFacts(database, program_terms_of(settings))
        command_services = CommandServices(
            database=database,
            service=service,
            summaries_changed=summaries_changed,
            member_facts=member_facts,
            note_sender=note_sender,
            history_pager=HistoryPager(database),
            doctor=Doctor(database, service, settings),
            post_line=lines.post_line,
        )
        button_services = ButtonServices(
            claims=claims,
            database=database,
            service=service,
            summaries_changed=summaries_changed,
            member_facts=member_facts,
            note_sender=note_sender,
            post_line=lines.post_line,
        )
        await client.add_cog(AdminCommands(command_services))
        await client.add_cog(MemberCommands(database, service, member_facts, note_sender))
        client.add_dynamic_items(*(button.bound_to(button_services) for button in BUTTONS))

        dependencies = Dependencies(
            roles_of=Roles(client, settings.guild_ids).of,
            is_online=lambda: client.is_online,
            waiting=lambda: runner.unsettled,
            metrics=metrics,
            is_paying=lambda: lease.is_held,
        )
        return cls(
            needs=needs,
            service=service,
            client=client,
            lease=lease,
            runner=runner,
            recovery=recovery,
            scheduler=scheduler,
            outbox_dispatcher=outbox_dispatcher,
            note_sender=note_sender,
            event_dispatcher=EventDispatcher(database, settings.webhooks),
            withdrawal_notes=WithdrawalNotes(database, service, note_sender),
            daily_verify=build_daily_verify(settings, database, service, lines),
            summary_updater=summary_updater,
            dashboard=Dashboard(database, service, settings, dependencies),
            summaries_changed=summaries_changed,
        )

    async def acquire_lease(self) -> None:
        """If no other process holds the lease, acquire it at startup, so that the schedule is in force from then on."""
        try:
            if await self.lease.take():
                await self.service.open_schedule()
        except CashbackError as error:
            logger.warning("the schedule waits: %s", error)

    async def run_paying_duties(self) -> None:
        """Run what only the process with the lease does: batches, the schedule, and payouts' direct messages."""
        try:
            await self.recovery.resubmit_unfinished()
        except CashbackError as error:
            logger.warning("unfinished batches wait: %s", error)
        self.summaries_changed.set()
        async with anyio.create_task_group() as duties:
            duties.start_soon(self.outbox_dispatcher.run, name="outbox dispatcher")
            duties.start_soon(self.runner.run, name="runner")
            duties.start_soon(self.scheduler.run, name="weekly batch")
            duties.start_soon(self.recovery.run, self.runner.submit, name="recovery")
            duties.start_soon(self.event_dispatcher.run, name="webhooks")
            duties.start_soon(self.withdrawal_notes.run, name="withdrawal notes")
            duties.start_soon(keep_retrying, self.service, name="payout retries")
            if self.daily_verify is not None:
                duties.start_soon(self.daily_verify.run, name="daily verification")


async def register_commands(settings: Settings, database: Database) -> int:
    """Register the slash commands without a connection to the gateway; return how many there are then."""
    services = await Services.build(settings, database)
    async with services.runner, services.client as client:
        await client.login(required_token(settings))
        return await client.count_registered_commands()


def build_runner(
    settings: Settings, database: Database, lease: Lease, observer: CountingObserver, outbox_changed: WakeUp
) -> Runner:
    """Return the runner. Its pipelines write only while this process holds the lease."""
    make = partial(
        make_pipeline,
        database=FencedDatabase(database, lease.require),
        observer=observer,
        outbox_changed=outbox_changed,
        chunk_size=settings.referral_settings.chunk_size,
    )
    return Runner(make, observer)


def build_daily_verify(
    settings: Settings, database: Database, service: AdminService, lines: AuditLines
) -> DailyVerify | None:
    """Return the daily verification, None if it is switched off."""
    hour = settings.referral_settings.verify_hour_utc
    return None if hour is None else DailyVerify(database, service, hour_utc=hour, post_line=lines.post_line)


def needs_of(settings: Settings) -> Needs:
    """Return what must exist on Discord. Raises StartError if the admin role is not configured."""
    return Needs(
        admin_role_id=required_admin_role(settings),
        role_ids=settings.role_ids,
        audit_channel_id=settings.logging_channels.audit,
        guild_ids=settings.guild_ids,
    )


def program_terms_of(settings: Settings) -> ProgramTerms:
    """Return the terms of the referral program."""
    referral = settings.referral_settings
    return ProgramTerms(
        cashback_percent=referral.cashback_percent,
        min_payout_cents=referral.min_payout_cents,
        holding_days=referral.holding_days,
        only_new_members_days=referral.only_new_members_days,
        earns_for_days=referral.earns_for_days,
        monthly_cap_cents=referral.monthly_cap_cents,
        withholds_leavers=referral.leaver_policy == "hold",
        withdrawals=settings.withdrawals.enabled,
        shows_spending=referral.referrers_see_spending,
        prefix=settings.bot_prefix,
        brand_name=settings.brand_name,
    )


def required_admin_role(settings: Settings) -> int:
    """Return the id of the admin role. Raises StartError if it is not configured."""
    if settings.role_ids.admin is None:
        raise StartError("role_ids.admin is not set in config.json; nobody may pay without it. Set it to a role's id.")
    return settings.role_ids.admin


def required_token(settings: Settings) -> str:
    """Return the bot's token. Raises StartError if it is not configured."""
    if settings.discord_token is None:
        raise StartError("DISCORD_TOKEN is not set; put the bot's token into the environment or into .env.")
    return settings.discord_token.get_secret_value()


async def serve(settings: Settings, database: Database, stop: anyio.Event, *, reread: Reread | None = None) -> None:
    """Run the bot on an open ledger until `stop` is set; then finish the current chunk and return.

    `reread` rereads the configuration when an admin reloads it; without it, the configuration stays as it is.

    Raises StartError, alone or in a group, if Discord or the configuration prevents the start, and LedgerMovedError if
    the ledger was moved.
    """
    token = required_token(settings)
    use_money_style(settings.money_style)
    if settings.discord_api_url is not None:
        point_at(settings.discord_api_url)
    await database.read(closed_ledger.require_open)
    await refuse_sample(settings, database)
    services = await Services.build(settings, database, reread=reread)
    async with services.lease, services.runner, anyio.create_task_group() as tasks:
        await services.acquire_lease()
        tasks.start_soon(stay_connected, services.client, token, services.needs, name="discord")
        tasks.start_soon(discord_clock.keep_comparing, services.service.clock_check, name="clock")
        tasks.start_soon(services.summary_updater.run, name="summary updater")
        tasks.start_soon(services.note_sender.run, name="note sender")
        if settings.referral_settings.leaver_policy == "hold":
            membership_check = MembershipCheck(services.client, database, settings.guild_ids)
            tasks.start_soon(membership_check.run, name="membership check")
        if settings.dashboard.enabled:
            tasks.start_soon(services.dashboard.run, name="dashboard")
            tasks.start_soon(NameCheck(services.client, database, settings.guild_ids).run, name="name check")
        async with anyio.create_task_group() as paying:
            paying.start_soon(services.lease.keep, services.run_paying_duties, name="paying duties")
            await stop.wait()
            paying.cancel_scope.cancel()
        # The current chunk is finished here: a cancelled task still waits for its worker thread's transaction.
        await _show_stopping(database, services.summary_updater)
        tasks.cancel_scope.cancel()


async def refuse_sample(settings: Settings, database: Database) -> None:
    """Raise StartError for a ledger with invented members, if the bot would run on the real Discord."""
    is_real = settings.discord_api_url is None or urlsplit(settings.discord_api_url).hostname in REAL_HOSTS
    if is_real and await database.read(samples.is_sample):
        raise StartError(
            f"Database {database.name} is a sample with invented members (`cashback seed`); the bot does not run on it"
            " with a real token. Name your ledger with --database or CASHBACK_DATABASE."
        )


async def _show_stopping(database: Database, summary_updater: SummaryUpdater) -> None:
    """Log and show on Discord what is left for the next start. Errors are logged: they must not prevent the stop."""
    try:
        for number in await database.read(batches.unfinished):
            report = await database.read(batches.report, number)
            logger.info(
                "stopped: batch %s has paid %d of %d; the next start continues it",
                report.batch_id,
                report.users_paid,
                report.users_planned,
                extra={"batch_id": report.batch_id, "batch_number": number},
            )
        with anyio.move_on_after(STOPPING_SECONDS):
            await summary_updater.show_stopping()
    except CashbackError as error:
        logger.warning("stopped; what is left could not be shown: %s", error)


async def serve_until_signal(settings: Settings, *, reread: Reread | None = None) -> None:
    """Open the ledger and run the bot until SIGTERM or SIGINT. Raises the errors of `serve`."""
    # Objects loaded by now live as long as the process. Collecting them blocked the loop for 50 ms.
    gc.collect()
    gc.freeze()
    stop = anyio.Event()
    terms = settings.referral_settings
    ledger = Database(
        settings.database,
        rate_ppm=terms.rate_ppm,
        holding_days=terms.holding_days,
        dates=terms.earning_dates,
        currency=settings.counted_in,
    )
    loop = asyncio.get_running_loop()

    def stop_by(name: str) -> None:
        logger.info("%s: stopping after the current chunk", name)
        loop.call_soon_threadsafe(stop.set)

    stop_signals.listen(stop_by)
    try:
        copy = await back_up_if_older(ledger.location, ledger.now())
        if copy is not None:
            logger.info("the ledger of an older version is upgraded; %s holds it as it was before", copy)
        async with ledger as database:
            await serve(settings, database, stop, reread=reread)
    finally:
        stop_signals.listen(None)


def main(settings: Settings, *, reread: Reread | None = None) -> int:
    """Run the bot until SIGTERM or SIGINT; return the exit code. An error is one line on standard error."""
    open_missing()
    stop_signals.hold()
    logs.set_up(level=settings.log_level)
    try:
        required_token(settings)
        required_admin_role(settings)
        anyio.run(partial(serve_until_signal, settings, reread=reread), backend="asyncio")
    except Exception as error:
        reason = _first_of(error)
        if not isinstance(reason, CashbackError):
            # Python would write this itself, and wait for whoever reads standard error.
            logger.critical("the bot ends by a mistake in the program", exc_info=error)
            return 1
        logs.write_line(f"error: {' '.join(str(reason).split())}")
        return CONFIGURATION_WRONG if isinstance(reason, StartError) else 1
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
            logs.write_line(f"warning: {warning}")
        sys.exit(main(loaded, reread=load))
    except SettingsError as wrong:
        logs.write_line(f"error: {wrong}")
        sys.exit(CONFIGURATION_WRONG)
