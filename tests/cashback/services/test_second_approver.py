"""A batch that needs two admins is paid on the word of two people, and on nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.payouts import approvals, runs
from cashback.domain.errors import NotAllowedError, SecondApproverError, StaleBatchError
from cashback.domain.model import BatchStatus
from cashback.services import CLI, SCHEDULE, Actor, AdminService, Source
from cashback.settings import ReferralSettings, RoleIds, Settings
from tests.cashback.services.test_admin_service import (
    ADMIN,
    ADMIN_ROLE,
    MEMBER,
    OTHER_ADMIN,
    WITHOUT_THE_ROLE,
    Queue,
    open_before_friday,
    refusals,
)
from tests.conftest import FRIDAY, REFUSED, Clock, LedgerFixture, raw

pytestmark = pytest.mark.anyio

SETTINGS = Settings(
    role_ids=RoleIds(admin=ADMIN_ROLE), referral_settings=ReferralSettings(approval_threshold_cents=1000)
)
AS_ADMIN_FROM_THE_CLI = Actor(source=Source.CLI, user_id=ADMIN.user_id)
OTHER_FROM_THE_CLI = Actor(source=Source.CLI, user_id=OTHER_ADMIN.user_id)
FROM_THE_DASHBOARD = Actor(source=Source.DASHBOARD, user_id=ADMIN.user_id, role_ids=ADMIN.role_ids)


@pytest.fixture
def queue() -> Queue:
    """Make an empty queue."""
    return Queue()


@pytest.fixture
def service(ledger: LedgerFixture, queue: Queue) -> AdminService:
    """Open a service in which ten dollars need two admins."""
    return AdminService(ledger.database, SETTINGS, queue.submit)


async def waiting(ledger: LedgerFixture, service: AdminService) -> int:
    """Propose and confirm a batch of ten dollars as an admin."""
    await ledger.earn_all([(1, 600), (2, 400)])
    number = (await service.propose(ADMIN)).batch_number
    report = await service.approve(ADMIN, number)
    assert (report.status, report.first_approved_by, report.approved_by) == (BatchStatus.PROPOSED, "discord:7", None)
    return number


async def test_below_threshold_needs_one_approver(ledger: LedgerFixture, service: AdminService, queue: Queue) -> None:
    await ledger.earn(1, 999)
    summary = await service.propose(ADMIN)
    assert summary.needs_second_approver is None
    await service.approve(ADMIN, summary.batch_number)
    assert queue.numbers == [summary.batch_number]


async def test_at_threshold_second_approver_is_needed_and_recorded(
    ledger: LedgerFixture, service: AdminService, queue: Queue
) -> None:
    number = await waiting(ledger, service)
    assert queue.numbers == []
    report = await service.approve(OTHER_ADMIN, number)
    assert (report.first_approved_by, report.approved_by) == ("discord:7", "discord:8")
    assert queue.numbers == [number]
    assert (await ledger.run(number)).reports[0].total_cents == 1000
    entries = ledger.rows("SELECT action, actor FROM cashback_audit_log WHERE action LIKE '%approved' ORDER BY id")
    assert entries == [("batch_first_approved", "discord:7"), ("batch_approved", "discord:8")]
    [(details,)] = ledger.rows("SELECT details FROM cashback_audit_log WHERE action = 'batch_approved'")
    assert '"first_approved_by": "discord:7"' in details


@pytest.mark.parametrize(
    "actor", [ADMIN, AS_ADMIN_FROM_THE_CLI, FROM_THE_DASHBOARD, CLI, SCHEDULE, WITHOUT_THE_ROLE, MEMBER]
)
async def test_second_approver_must_be_another_admin(
    ledger: LedgerFixture, service: AdminService, queue: Queue, actor: Actor
) -> None:
    number = await waiting(ledger, service)
    before = ledger.rows("SELECT expires_at FROM cashback_payout_batches")
    for _click in range(2):
        with pytest.raises(NotAllowedError):
            await service.approve(actor, number)
    assert queue.numbers == []
    assert (await ledger.report(number)).status is BatchStatus.PROPOSED
    assert refusals(ledger) == [(str(actor), f"approve batch number {number}")] * 2
    assert ledger.rows("SELECT expires_at FROM cashback_payout_batches") == before, "a second click gives no more time"


async def test_ledger_refuses_the_same_approver_twice(ledger: LedgerFixture, service: AdminService) -> None:
    number = await waiting(ledger, service)
    for approver_id in (None, ADMIN.user_id):
        with pytest.raises(SecondApproverError):
            await ledger.database.write(
                approvals.approve, number, actor="somebody", now=ledger.clock(), approver_id=approver_id
            )
    assert await ledger.database.write(runs.start, number, now=ledger.clock()) is runs.Start.NOT_STARTED
    for approver in ("NULL", str(ADMIN.user_id)):
        with raw(ledger.location) as connection, pytest.raises(REFUSED, match="approved_by_two"):
            connection.execute(
                "UPDATE cashback_payout_batches SET status = 'approved', batch_id = 'BATCH-X', approved_by ="
                " 'discord:9',"
                f" approver_id = {approver}"
            )
    for change in ("needs_second_approver = NULL", "proposed_by = 'discord:9'", "first_approved_by = 'discord:9'"):
        with raw(ledger.location) as connection, pytest.raises(REFUSED, match="is never changed"):
            connection.execute(f"UPDATE cashback_payout_batches SET {change}")


@pytest.mark.parametrize("act", ["resume", "retry", "stop", "abandon"])
async def test_other_actions_do_not_start_a_waiting_batch(
    ledger: LedgerFixture, service: AdminService, queue: Queue, act: str
) -> None:
    number = await waiting(ledger, service)
    for actor in (ADMIN, OTHER_ADMIN, CLI):
        with pytest.raises(StaleBatchError):
            await getattr(service, act)(actor, number)
    assert await service.resume(ADMIN) == []
    assert await service.retry_due() == []
    assert (await ledger.run(number)).interruptions != []
    assert queue.numbers == []
    assert ledger.balance(1) == 0


async def test_other_admin_cannot_approve_before_the_first(
    ledger: LedgerFixture, service: AdminService, queue: Queue
) -> None:
    await ledger.earn(1, 1000)
    number = (await service.propose(ADMIN)).batch_number
    with pytest.raises(NotAllowedError, match="Only discord:7"):
        await service.approve(OTHER_ADMIN, number)
    assert queue.numbers == []


async def test_second_approval_expires_after_a_day(
    ledger: LedgerFixture, service: AdminService, queue: Queue, clock: Clock
) -> None:
    number = await waiting(ledger, service)
    clock.advance(timedelta(hours=24).total_seconds() - 1)
    assert await service.expire() == []
    clock.advance(1)
    with pytest.raises(StaleBatchError, match="expired"):
        await service.approve(OTHER_ADMIN, number)
    assert await service.expire() == [number]
    assert queue.numbers == []
    assert await ledger.pending(1) == 600


async def test_waiting_batch_can_be_cancelled_by_any_admin(ledger: LedgerFixture, service: AdminService) -> None:
    number = await waiting(ledger, service)
    with pytest.raises(NotAllowedError):
        await service.cancel(MEMBER, number)
    await service.cancel(OTHER_ADMIN, number)
    assert (await ledger.report(number)).status is BatchStatus.CANCELLED


async def test_second_approver_can_be_named_on_the_command_line(
    ledger: LedgerFixture, service: AdminService, queue: Queue
) -> None:
    number = await waiting(ledger, service)
    assert (await service.approve(OTHER_FROM_THE_CLI, number)).approved_by == "cli:8"
    assert queue.numbers == [number]


async def test_weekly_batch_waits_for_an_admin_and_decides_its_slot_once(
    ledger: LedgerFixture, service: AdminService, queue: Queue, clock: Clock
) -> None:
    await ledger.earn(1, 1000)
    await open_before_friday(service, clock)
    number = await service.pay_slot(FRIDAY)
    assert number is not None
    assert await service.is_waiting(number)
    assert queue.numbers == []
    assert await service.pay_slot(FRIDAY) is None
    assert ledger.rows("SELECT status, batch_number FROM cashback_schedule_slots") == [("batched", number)]
    for actor in (SCHEDULE, CLI):
        with pytest.raises(SecondApproverError):
            await service.approve(actor, number)
    await service.approve(ADMIN, number)
    assert queue.numbers == [number]
    with pytest.raises(StaleBatchError, match="confirmed already"):
        await service.approve(OTHER_ADMIN, number)
    assert not await service.is_waiting(number)


async def test_retry_of_approved_batch_needs_no_further_approval(
    ledger: LedgerFixture, service: AdminService, queue: Queue
) -> None:
    number = await waiting(ledger, service)
    await service.approve(OTHER_ADMIN, number)
    with raw(ledger.location) as connection:
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN NEW.user_discord_id = 2"
            " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
        )
        await ledger.run(number)
        connection.execute("DROP TRIGGER refused")
    await service.retry(OTHER_ADMIN, number)
    [report] = (await ledger.run(number)).reports
    assert (report.total_cents, report.first_approved_by, report.approved_by) == (1000, "discord:7", "discord:8")
