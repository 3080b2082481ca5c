"""The services: authorization and deadlines. Every refusal is in the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cashback.database.schedule import schedule
from cashback.domain.errors import BlacklistedError, BusyError, NotAllowedError, NothingPendingError, StaleBatchError
from cashback.domain.model import BatchStatus
from cashback.services import CLI, SCHEDULE, Actor, AdminService, Source
from cashback.settings import RoleIds, Settings
from tests.conftest import FRIDAY, Clock, LedgerFixture, raw

pytestmark = pytest.mark.anyio

ADMIN_ROLE = 42
ADMIN = Actor(source=Source.DISCORD, user_id=7, role_ids=frozenset({1, ADMIN_ROLE}))
OTHER_ADMIN = Actor(source=Source.DISCORD, user_id=8, role_ids=frozenset({ADMIN_ROLE}))
MEMBER = Actor(source=Source.DISCORD, user_id=9, role_ids=frozenset({1, 2}))
WITHOUT_THE_ROLE = Actor(source=Source.DISCORD, user_id=7, role_ids=frozenset({1}))

SETTINGS = Settings(role_ids=RoleIds(admin=ADMIN_ROLE))


class Queue:
    """Takes batches as the runner does, and keeps them."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.full = False

    def submit(self, batch_number: int) -> int:
        """Accept a batch."""
        if self.full:
            raise BusyError
        self.numbers.append(batch_number)
        return len(self.numbers) - 1


@pytest.fixture
def queue() -> Queue:
    """Make an empty queue."""
    return Queue()


@pytest.fixture
def service(ledger: LedgerFixture, queue: Queue) -> AdminService:
    """Open the service."""
    return AdminService(ledger.database, SETTINGS, queue.submit)


def refusals(ledger: LedgerFixture) -> list[tuple[str, str]]:
    """Return the audited refusals."""
    found = ledger.rows("SELECT actor, details FROM cashback_audit_log WHERE action = 'refused' ORDER BY id")
    return [(actor, json.loads(details)["wanted"]) for actor, details in found]


async def test_approved_batch_is_submitted_to_the_runner(
    ledger: LedgerFixture, service: AdminService, queue: Queue
) -> None:
    await ledger.earn(1, 100)
    summary = await service.propose(ADMIN)
    assert queue.numbers == []
    report = await service.approve(ADMIN, summary.batch_number)
    assert queue.numbers == [summary.batch_number]
    assert (report.status, report.batch_id) == (BatchStatus.APPROVED, "BATCH-20260703-150000")
    assert (report.proposed_by, report.approved_by) == ("discord:7", "discord:7")
    assert refusals(ledger) == []


@pytest.mark.parametrize("actor", [MEMBER, WITHOUT_THE_ROLE, Actor(source=Source.DISCORD)])
async def test_non_admin_is_refused_and_audited(ledger: LedgerFixture, service: AdminService, actor: Actor) -> None:
    await ledger.earn(1, 100)
    number = (await service.propose(ADMIN)).batch_number
    refused = (
        service.propose(actor),
        service.propose(actor, target_user_id=1),
        service.approve(actor, number),
        service.cancel(actor, number),
        service.resume(actor),
        service.stop(actor, number),
        service.abandon(actor, number),
        service.retry(actor, number),
        service.pause_schedule(actor),
        service.resume_schedule(actor),
        service.skip_slot(actor, FRIDAY),
        service.skip_next(actor),
        service.reload_schedule(actor),
    )
    for act in refused:
        with pytest.raises(NotAllowedError, match=r"^Only an admin may do this\.$"):
            await act
    assert [name for name, _ in refusals(ledger)] == [str(actor)] * len(refused)
    assert refusals(ledger)[2][1] == f"approve batch number {number}"
    assert (await ledger.report(number)).status is BatchStatus.PROPOSED


async def test_unset_admin_role_refuses_every_discord_member(ledger: LedgerFixture, queue: Queue) -> None:
    service = AdminService(ledger.database, Settings(), queue.submit)
    assert not service.is_admin(ADMIN)
    assert not service.is_admin(Actor(source=Source.DISCORD, user_id=1))
    assert service.is_admin(CLI)


async def test_role_lost_before_click_is_refused(ledger: LedgerFixture, service: AdminService, queue: Queue) -> None:
    await ledger.earn(1, 100)
    number = (await service.propose(ADMIN)).batch_number
    with pytest.raises(NotAllowedError):
        await service.approve(WITHOUT_THE_ROLE, number)
    assert queue.numbers == []


async def test_other_admin_cannot_confirm_the_summary(
    ledger: LedgerFixture, service: AdminService, queue: Queue
) -> None:
    await ledger.earn(1, 100)
    number = (await service.propose(ADMIN)).batch_number
    for act in (
        service.approve(OTHER_ADMIN, number),
        service.cancel(OTHER_ADMIN, number),
        service.approve(CLI, number),
    ):
        with pytest.raises(NotAllowedError, match="Only discord:7, who asked for this summary, may decide on it"):
            await act
    assert queue.numbers == []
    assert (await ledger.report(number)).status is BatchStatus.PROPOSED
    assert refusals(ledger) == [
        ("discord:8", f"approve batch number {number}"),
        ("discord:8", f"cancel batch number {number}"),
        ("cli", f"approve batch number {number}"),
    ]


@pytest.mark.parametrize("actor", [CLI, SCHEDULE])
async def test_command_line_and_schedule_need_no_role(
    ledger: LedgerFixture, service: AdminService, actor: Actor
) -> None:
    await ledger.earn(1, 100)
    number = (await service.propose(actor)).batch_number
    report = await service.approve(actor, number)
    assert (report.proposed_by, report.approved_by) == (str(actor), str(actor))


async def test_proposal_expires_at_configured_deadline(
    ledger: LedgerFixture, service: AdminService, clock: Clock, queue: Queue
) -> None:
    await ledger.earn(1, 100)
    number = (await service.propose(ADMIN)).batch_number
    clock.advance(SETTINGS.referral_settings.confirm_seconds)
    with pytest.raises(StaleBatchError, match="expired"):
        await service.approve(ADMIN, number)
    assert queue.numbers == []
    assert await service.expire() == [number]


async def test_second_click_submits_nothing(ledger: LedgerFixture, service: AdminService, queue: Queue) -> None:
    await ledger.earn(1, 100)
    number = (await service.propose(ADMIN)).batch_number
    await service.approve(ADMIN, number)
    with pytest.raises(StaleBatchError, match="confirmed already"):
        await service.approve(ADMIN, number)
    assert queue.numbers == [number]


async def test_cancelled_batch_cannot_be_approved(ledger: LedgerFixture, service: AdminService, queue: Queue) -> None:
    await ledger.earn(1, 100)
    number = (await service.propose(ADMIN)).batch_number
    await service.cancel(ADMIN, number)
    with pytest.raises(StaleBatchError, match="was cancelled"):
        await service.approve(ADMIN, number)
    assert queue.numbers == []


async def test_blacklisted_and_nothing_pending_have_different_errors(
    ledger: LedgerFixture, service: AdminService
) -> None:
    with pytest.raises(NothingPendingError):
        await service.propose(ADMIN)
    await ledger.earn(1, 100)
    await ledger.database.blacklist_referral_user(1)
    with pytest.raises(BlacklistedError):
        await service.propose(ADMIN, target_user_id=1)


async def test_batch_refused_by_full_runner_waits_for_resume(
    ledger: LedgerFixture, service: AdminService, queue: Queue
) -> None:
    await ledger.earn(1, 100)
    number = (await service.propose(ADMIN)).batch_number
    queue.full = True
    with pytest.raises(BusyError):
        await service.approve(ADMIN, number)
    assert (await ledger.report(number)).status is BatchStatus.APPROVED
    queue.full = False
    assert await service.resume(OTHER_ADMIN) == [number]
    assert queue.numbers == [number]


async def test_resume_submits_only_unfinished_batches_oldest_first(
    ledger: LedgerFixture, service: AdminService, queue: Queue
) -> None:
    await ledger.earn(1, 100)
    await ledger.pay()
    await ledger.earn(1, 100)
    await ledger.propose()
    first, second = await ledger.approved(), await ledger.approved()
    assert await service.resume(CLI) == [first, second]
    assert await service.resume(CLI, second) == [second]
    assert queue.numbers == [first, second, second]


@pytest.mark.parametrize("settle", ["pay", "propose"])
async def test_finished_or_unapproved_batch_cannot_be_resumed(
    ledger: LedgerFixture, service: AdminService, settle: str
) -> None:
    await ledger.earn(1, 100)
    action: Callable[..., object] = ledger.pay if settle == "pay" else ledger.propose
    number = (await action()).batch_number  # type: ignore[misc]
    with pytest.raises(StaleBatchError, match="there is nothing to resume"):
        await service.resume(CLI, number)


async def open_before_friday(service: AdminService, clock: Clock) -> None:
    """Put the schedule in force an hour before the slot of FRIDAY."""
    clock.advance(-3600)
    await service.open_schedule()
    clock.advance(3600)


async def test_slot_triggered_repeatedly_is_paid_once(
    ledger: LedgerFixture, service: AdminService, queue: Queue, clock: Clock
) -> None:
    await ledger.earn(1, 100)
    await open_before_friday(service, clock)
    number = await service.pay_slot(FRIDAY)
    assert number is not None
    assert await service.pay_slot(FRIDAY) is None
    assert queue.numbers == [number]
    assert (await ledger.report(number)).approved_by == "schedule"
    assert ledger.rows("SELECT count(*) FROM cashback_payout_batches") == [(1,)]


async def test_schedule_is_readable_during_a_write(ledger: LedgerFixture, service: AdminService) -> None:
    await service.open_schedule()
    with raw(ledger.location) as other:
        other.execute("BEGIN")
        other.execute("UPDATE cashback_schedule_state SET in_force_since = in_force_since")
        assert (await service.schedule_overview()).rule == "friday 15:00"
        other.execute("ROLLBACK")


async def test_paused_schedule_skips_slots_until_resumed(
    ledger: LedgerFixture, service: AdminService, queue: Queue, clock: Clock
) -> None:
    await ledger.earn(1, 100)
    await open_before_friday(service, clock)
    await service.pause_schedule(ADMIN, "holidays")
    with pytest.raises(StaleBatchError, match="already paused, by discord:7: holidays"):
        await service.pause_schedule(OTHER_ADMIN)
    state = await ledger.database.read(schedule.find_state)
    assert state is not None
    assert (state.paused_by, state.paused_reason) == ("discord:7", "holidays")
    assert await service.pay_slot(FRIDAY) is None
    await service.resume_schedule(ADMIN)
    with pytest.raises(StaleBatchError, match="is not paused"):
        await service.resume_schedule(ADMIN)
    assert queue.numbers == []


def test_actor_name_contains_its_source() -> None:
    assert [str(actor) for actor in (ADMIN, CLI, SCHEDULE)] == ["discord:7", "cli", "schedule"]


def refuse_payouts(ledger: LedgerFixture, condition: str) -> None:
    """Make the ledger refuse the wallet transactions that match the condition."""
    with raw(ledger.location) as connection:
        connection.execute("DROP TRIGGER IF EXISTS refused")
        connection.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
        )


async def test_stopped_batch_resumes_only_if_named(ledger: LedgerFixture, service: AdminService, queue: Queue) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    assert (await service.stop(OTHER_ADMIN, number)).status is BatchStatus.STOPPED
    assert await service.resume(ADMIN) == []
    assert queue.numbers == []
    assert await service.resume(ADMIN, number) == [number]
    assert queue.numbers == [number]
    assert (await ledger.report(number)).status is BatchStatus.RUNNING
    query = (
        "SELECT actor, action FROM cashback_audit_log WHERE action LIKE 'batch_%ed' AND actor LIKE 'discord:%'"
        " ORDER BY id"
    )
    assert ledger.rows(query) == [("discord:8", "batch_stopped"), ("discord:7", "batch_resumed")]


async def test_automatic_retries_double_their_pause_and_end(
    ledger: LedgerFixture, service: AdminService, queue: Queue, clock: Clock
) -> None:
    referral = SETTINGS.referral_settings
    minutes = referral.payout_retry_minutes
    await ledger.earn_all([(1, 100), (2, 100)])
    refuse_payouts(ledger, "NEW.user_discord_id = 2")
    number = (await ledger.pay()).batch_number
    for attempt in range(referral.payout_retry_attempts):
        clock.advance(60 * minutes * 2**attempt - 1)
        assert await service.retry_due() == []
        clock.advance(1)
        assert await service.retry_due() == [number]
        assert await service.retry_due() == [], "while it runs it is not retried again"
        await ledger.run(number)
    clock.advance(10**6)
    assert await service.retry_due() == []
    assert queue.numbers == [number] * referral.payout_retry_attempts
    assert ledger.rows("SELECT requested_by, attempt, outcome FROM cashback_payout_attempts") == [
        ("system", 1, "failed"),
        ("system", 2, "failed"),
        ("system", 3, "failed"),
    ]
    refuse_payouts(ledger, "1 = 0")
    await service.retry(ADMIN, number, why="mended")
    assert (await ledger.run(number)).reports[0].status is BatchStatus.COMPLETED
