"""The wiring: all services of the program, around a bot of ours or any other."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import anyio

from cashback.background.daily_verify import DailyVerify
from cashback.background.lease import Lease
from cashback.background.outbox_dispatcher import OutboxDispatcher
from cashback.background.outbox_thinning import OutboxThinning
from cashback.background.payout_retries import keep_retrying
from cashback.background.recovery import Recovery
from cashback.background.wakeup import WakeUp
from cashback.cogs.admin import AdminCommands, CommandServices
from cashback.cogs.buttons import BUTTONS, ButtonServices
from cashback.cogs.buttons.history_pager import HistoryPager
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.gateway.configuration_check import Needs, StartError
from cashback.cogs.gateway.discord_clock import observing
from cashback.cogs.gateway.doctor import Doctor
from cashback.cogs.gateway.gateway_status import Client, GatewayStatus
from cashback.cogs.gateway.host import Host
from cashback.cogs.gateway.membership_check import MembershipCheck
from cashback.cogs.gateway.name_check import NameCheck
from cashback.cogs.gateway.place_names import place_name
from cashback.cogs.gateway.request_limits import limiting_trace
from cashback.cogs.gateway.roles import Roles
from cashback.cogs.gateway.typed_words import TypedWords
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
from cashback.database import Database
from cashback.database.fenced import FencedDatabase
from cashback.domain.clock import ClockCheck
from cashback.domain.errors import CashbackError
from cashback.domain.ports import Messenger, Observer
from cashback.events import EventDispatcher
from cashback.extend import Additions
from cashback.extension.dashboard_part import DashboardPart
from cashback.extension.guards import GuardedMessenger, GuardedObservers
from cashback.services import AdminService
from cashback.settings import Settings
from pipeline.runner import Runner
from scheduler import Scheduler
from stages import make_pipeline

if TYPE_CHECKING:
    from cashback.dashboard import Dashboard

Reread = Callable[[], Settings]
"""Rereads the configuration."""

NOTHING_ADDED: Final = Additions()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All services of the bot, wired together."""

    host: Host
    needs: Needs
    service: AdminService
    client: Client
    lease: Lease
    runner: Runner
    recovery: Recovery
    scheduler: Scheduler
    outbox_dispatcher: OutboxDispatcher
    outbox_thinning: OutboxThinning
    note_sender: NoteSender
    withdrawal_notes: WithdrawalNotes
    event_dispatcher: EventDispatcher
    daily_verify: DailyVerify | None
    summary_updater: SummaryUpdater
    membership_check: MembershipCheck | None
    name_check: NameCheck
    dashboard: "Dashboard | None"
    summaries_changed: WakeUp

    @classmethod
    def build(
        cls,
        client: Client,
        settings: Settings,
        database: Database,
        *,
        reread: Reread | None = None,
        additions: Additions = NOTHING_ADDED,
        restart: Callable[[], None] | None = None,
    ) -> Self:
        """Build and wire the services. Raises StartError if the admin role is not configured.

        `reread` rereads the configuration when an admin reloads it; without it, the configuration stays as it is.
        `restart` starts the program again when an admin has changed the settings; without it, the admin does.
        """
        referral = settings.referral_settings
        outbox_changed, summaries_changed = WakeUp(), WakeUp()
        lines = AuditLines(summaries_changed)
        needs = replace(needs_of(settings), post_line=lines.post_line)
        dashboard_part = DashboardPart(settings)

        # Payouts: the lease, the runner of approved batches, and the requests of admins.
        lease = Lease(database, seconds=referral.lease_seconds)
        recovery = Recovery(
            database,
            summaries_changed=summaries_changed,
            batches_due=WakeUp(),
            post_line=lines.post_line,
            poll_seconds=lease.poll_seconds,
        )
        observer = GuardedObservers(dashboard_part.counting_observer(recovery), additions.observers)
        runner = build_runner(settings, database, lease, observer, outbox_changed)
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
        claims = Claims(database, settings)
        gateway_status = GatewayStatus(client, summaries_changed.set)
        dm_sender = DmSender(client, gateway_status, brand_name=settings.brand_name, assure=lease.assure)
        outbox_dispatcher = OutboxDispatcher(
            database,
            dashboard_part.counting_messenger(_messenger_of(additions, dm_sender, lease)),
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
            gateway_status,
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
            claims=claims,
            database=database,
            service=service,
            summaries_changed=summaries_changed,
            member_facts=member_facts,
            note_sender=note_sender,
            history_pager=HistoryPager(database),
            doctor=Doctor(database, service, settings),
            post_line=lines.post_line,
            restart=restart,
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
        host = Host(
            client,
            gateway_status,
            needs,
            cogs=(
                AdminCommands(command_services),
                MemberCommands(database, service, member_facts, note_sender, claims),
            ),
            buttons=[button.bound_to(button_services) for button in BUTTONS],
            trace=observing(clock_check, limiting_trace()),
            typed_words=TypedWords(client, claims),
            disabled_commands=settings.disabled_commands,
        )

        dashboard = dashboard_part.dashboard(
            database,
            service,
            roles_of=Roles(client, settings.guild_ids).of,
            is_online=lambda: gateway_status.is_online,
            waiting=lambda: runner.unsettled,
            is_paying=lambda: lease.is_held,
            place_name=partial(place_name, client),
            pages=additions.pages,
        )
        withholds_leavers = settings.referral_settings.leaver_policy == "hold"
        return cls(
            host=host,
            needs=needs,
            service=service,
            client=client,
            lease=lease,
            runner=runner,
            recovery=recovery,
            scheduler=scheduler,
            outbox_dispatcher=outbox_dispatcher,
            outbox_thinning=OutboxThinning(database),
            note_sender=note_sender,
            event_dispatcher=EventDispatcher(database, settings.webhooks),
            withdrawal_notes=WithdrawalNotes(database, service, note_sender),
            daily_verify=build_daily_verify(settings, database, service, lines),
            summary_updater=summary_updater,
            membership_check=MembershipCheck(client, gateway_status, database, settings.guild_ids)
            if withholds_leavers
            else None,
            name_check=NameCheck(client, gateway_status, database, settings.guild_ids),
            dashboard=dashboard,
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
            duties.start_soon(self.outbox_thinning.run, name="outbox thinning")
            if self.daily_verify is not None:
                duties.start_soon(self.daily_verify.run, name="daily verification")


def build_runner(
    settings: Settings, database: Database, lease: Lease, observer: Observer, outbox_changed: WakeUp
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


def _messenger_of(additions: Additions, dm_sender: DmSender, lease: Lease) -> Messenger:
    if additions.messenger is None:
        return dm_sender
    return GuardedMessenger(additions.messenger(dm_sender), lease.assure)


def required_admin_role(settings: Settings) -> int:
    """Return the id of the admin role. Raises StartError if it is not configured."""
    if settings.role_ids.admin is None:
        raise StartError("role_ids.admin is not set in config.json; nobody may pay without it. Set it to a role's id.")
    return settings.role_ids.admin
