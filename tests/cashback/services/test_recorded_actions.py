"""What admins do with batches, reversals and the schedule reaches the ledger whole: actor, reason, token, limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from cashback.domain.errors import BusyError, CashbackError, NotAllowedError, SecondApproverError, StaleBatchError
from cashback.domain.model import BatchStatus, ReversalStatus
from cashback.services import CLI, AdminService
from cashback.services.terms import terms_line
from cashback.settings import ReferralSettings
from tests.cashback.services.test_admin_service import ADMIN, MEMBER, OTHER_ADMIN, refusals
from tests.cashback.services.test_recorded_effects import entries, service_of
from tests.conftest import FRIDAY, Clock, LedgerFixture
from verification.testbed import databases

pytestmark = pytest.mark.anyio

WEEK = timedelta(weeks=1)
OTHER_TOKEN = "0" * 16


async def fail(ledger: LedgerFixture, cents: int = 100) -> int:
    """Have the payout of member 1 fail; return its batch."""
    await ledger.earn(1, cents)
    number = await ledger.approved(target_user_id=1)
    with databases.connect(ledger.location) as connection:
        databases.break_wallet(connection, 1)
        await ledger.run(number)
        databases.mend_wallet(connection)
    return number


ACTIONS: dict[str, Callable[[AdminService], Awaitable[object]]] = {
    "take back payouts of batch number 1": lambda s: s.propose_reversal(MEMBER, 1, reason="a mistake"),
    "approve reversal number 1": lambda s: s.approve_reversal(MEMBER, 1),
    "cancel reversal number 1": lambda s: s.cancel_reversal(MEMBER, 1),
    "resume batches": lambda s: s.resume(MEMBER),
    "stop batch number 1": lambda s: s.stop(MEMBER, 1),
    "abandon the rest of batch number 1": lambda s: s.abandon(MEMBER, 1),
    "retry batch number 1": lambda s: s.retry(MEMBER, 1),
    "reload the schedule": lambda s: s.reload_schedule(MEMBER),
    "skip the slot of 2026-07-10 15:00 UTC": lambda s: s.skip_slot(MEMBER, FRIDAY + WEEK),
    "skip the next slot": lambda s: s.skip_next(MEMBER),
    "unskip the slot of 2026-07-10 15:00 UTC": lambda s: s.unskip_slot(MEMBER, FRIDAY + WEEK),
    "unskip the next skipped slot": lambda s: s.unskip_next(MEMBER),
    "pause the schedule": lambda s: s.pause_schedule(MEMBER),
    "resume the schedule": lambda s: s.resume_schedule(MEMBER),
}


async def test_refusal_names_in_the_audit_log_what_was_wanted(ledger: LedgerFixture) -> None:
    service = service_of(ledger)
    for act in ACTIONS.values():
        with pytest.raises(NotAllowedError):
            await act(service)
    assert refusals(ledger) == [("discord:9", wanted) for wanted in ACTIONS]


async def test_stop_resume_and_abandon_name_their_admin_and_need_the_batchs_token(
    ledger: LedgerFixture, clock: Clock
) -> None:
    await ledger.earn(1, 100)
    service = service_of(ledger)
    number = await ledger.approved()
    acts: tuple[Callable[..., Awaitable[object]], ...] = (service.stop, service.resume, service.stop, service.abandon)
    for act in acts:
        with pytest.raises(StaleBatchError, match="shows another proposal"):
            await act(ADMIN, number, token=OTHER_TOKEN)
        clock.advance(10)
        await act(ADMIN, number)
    assert [entries(ledger, f"batch_{action}")[0][:2] for action in ("stopped", "resumed", "given_up")] == [
        ("discord:7", number)
    ] * 3
    moments = ledger.rows(
        "SELECT settled_at FROM cashback_payouts UNION SELECT finished_at FROM cashback_payout_batches"
    )
    assert moments == [("2026-07-03 15:00:40.000000",)]


async def test_retry_by_an_admin_names_admin_and_reason_and_needs_the_batchs_token(ledger: LedgerFixture) -> None:
    number = await fail(ledger)
    service = service_of(ledger)
    with pytest.raises(StaleBatchError, match="shows another proposal"):
        await service.retry(ADMIN, number, token=OTHER_TOKEN)
    report = await service.retry(ADMIN, number, why="mended")
    assert report.status is BatchStatus.RUNNING
    assert entries(ledger, "retry_started") == [("discord:7", number, {"users": 1, "why": "mended"})]


async def test_retry_by_the_program_is_named_as_such(ledger: LedgerFixture, clock: Clock) -> None:
    number = await fail(ledger)
    service = service_of(ledger, payout_retry_minutes=5)
    clock.advance(300)
    assert await service.retry_due() == [number]
    assert entries(ledger, "retry_started") == [("system", number, {"users": 1, "why": "tried again by the program"})]


async def test_program_retries_the_next_batch_if_the_runner_refuses_one(ledger: LedgerFixture, clock: Clock) -> None:
    refused, number = await fail(ledger), await fail(ledger)
    queue: list[int] = []

    def submit(number: int) -> int:
        if number == refused:
            raise BusyError
        queue.append(number)
        return 0

    service = service_of(ledger, submit, payout_retry_minutes=5)
    clock.advance(300)
    assert await service.retry_due() == queue == [number]


async def test_reversal_keeps_reason_deadline_and_threshold(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 500), (2, 300)])
    number = (await ledger.pay()).batch_number
    service = service_of(ledger, confirm_seconds=90, approval_threshold_cents=500, approval_hours=3)
    for reason in (" ", "x" * 201):
        length = len(reason.strip())
        with pytest.raises(CashbackError) as refused:
            await service.propose_reversal(ADMIN, number, reason=reason)
        assert str(refused.value) == f"The reason has {length} characters; give one of 1 to 200."
    for reason in ("x", "x" * 200):
        assert (await service.propose_reversal(ADMIN, number, reason=reason)).planned_count == 2
    reversal = await service.propose_reversal(ADMIN, number, referrer_id=1, reason=" a  stolen\ncard ")
    assert (reversal.reason, reversal.proposed_by, reversal.planned_cents) == ("a stolen card", "discord:7", 500)
    assert (reversal.expires_at, reversal.token != "") == (clock() + timedelta(seconds=90), True)
    assert reversal.needs_second_approver == "From $5.00 on, two admins must approve."

    for act in (service.approve_reversal, service.cancel_reversal):
        with pytest.raises(NotAllowedError) as not_allowed:
            await act(OTHER_ADMIN, reversal.number)
        assert str(not_allowed.value) == "Only discord:7, who asked for this, may decide on it."
        with pytest.raises(StaleBatchError, match="shows another"):
            await act(ADMIN, reversal.number, token=OTHER_TOKEN)
    waits = await service.approve_reversal(ADMIN, reversal.number, token=reversal.token)
    assert (waits.first_approved_by, waits.expires_at) == ("discord:7", clock() + timedelta(hours=3))
    with pytest.raises(SecondApproverError):
        await service.approve_reversal(ADMIN, reversal.number)
    assert refusals(ledger) == [
        ("discord:8", f"approve reversal number {reversal.number}"),
        ("discord:8", f"cancel reversal number {reversal.number}"),
        ("discord:7", f"approve reversal number {reversal.number}"),
    ]
    done = await service.approve_reversal(OTHER_ADMIN, reversal.number)
    assert (done.status, done.approved_by, ledger.balance(1)) == (ReversalStatus.DONE, "discord:8", 0)


async def test_reversal_that_waits_for_a_second_admin_is_cancelled_by_any(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 500)
    number = (await ledger.pay()).batch_number
    service = service_of(ledger, approval_threshold_cents=500)
    reversal = (await service.propose_reversal(ADMIN, number, reason="a mistake")).number
    await service.approve_reversal(ADMIN, reversal)
    clock.advance(10)
    assert (await service.cancel_reversal(OTHER_ADMIN, reversal)).status is ReversalStatus.CANCELLED
    assert entries(ledger, "reversal_cancelled") == [("discord:8", number, {"reversal": reversal})]
    assert ledger.rows("SELECT finished_at FROM cashback_reversals") == [("2026-07-03 15:00:10.000000",)]


async def test_schedule_changes_name_admin_and_reason(ledger: LedgerFixture) -> None:
    service = service_of(ledger, auto_batch_enabled=True, misfire_grace_hours=5, notice_hours=12)
    with pytest.raises(CashbackError) as refused:
        await service.pause_schedule(ADMIN, "x" * 201)
    assert str(refused.value) == "The reason has 201 characters; at most 200 are kept."
    await service.pause_schedule(ADMIN, " counting \n stock ")
    [(actor, _, told)] = entries(ledger, "schedule_changed")
    assert (actor, told) == (
        "schedule",
        {"rule": "friday 15:00", "grace_hours": 5, "notice_hours": 12, "before": None},
    )
    with pytest.raises(StaleBatchError):
        await service.resume_schedule(OTHER_ADMIN, since=FRIDAY - WEEK)
    await service.resume_schedule(OTHER_ADMIN, "counted", since=FRIDAY)
    assert await service.skip_next(ADMIN, "holidays") == FRIDAY + WEEK
    assert await service.coming_slots(2) == [FRIDAY + 2 * WEEK, FRIDAY + 3 * WEEK]
    await service.skip_slot(ADMIN, FRIDAY + 2 * WEEK, "x" * 200)
    assert await service.unskip_next(OTHER_ADMIN) == FRIDAY + WEEK
    await service.unskip_slot(CLI, FRIDAY + 2 * WEEK, "open after all")
    told_of: dict[str, list[Any]] = {
        action: [(actor, told["reason"]) for actor, _, told in entries(ledger, action)]
        for action in ("schedule_paused", "schedule_resumed", "slot_skipped", "slot_unskipped")
    }
    assert told_of == {
        "schedule_paused": [("discord:7", "counting stock")],
        "schedule_resumed": [("discord:8", "counted")],
        "slot_skipped": [("discord:7", "holidays"), ("discord:7", "x" * 200)],
        "slot_unskipped": [("discord:8", None), ("cli", "open after all")],
    }


async def test_slot_is_missed_once_and_only_when_it_has_passed(ledger: LedgerFixture, clock: Clock) -> None:
    service = service_of(ledger, auto_batch_enabled=True)
    await service.open_schedule()
    slot = FRIDAY + WEEK
    clock.advance(WEEK.total_seconds() - 1)
    for _just_before_and_at_its_moment in range(2):
        assert not await service.miss_slot(slot, "the bot was off")
        clock.advance(1)
    assert await service.miss_slot(slot, "the bot was off")
    assert not await service.miss_slot(slot, "the bot was off")
    [(actor, _, told)] = entries(ledger, "slot_missed")
    assert (actor, told["reason"]) == ("schedule", "the bot was off")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"cashback_percent": 12.5, "holding_days": 0, "min_payout_cents": 250, "auto_batch_enabled": False},
            "12.5 % of each purchase, payable at once, minimum payout $2.50, no weekly batch",
        ),
        (
            {"holding_days": 1, "batch_day": "monday", "batch_hour_utc": 9, "auto_batch_enabled": True},
            "0.5 % of each purchase, payable after 1 day, minimum payout $0.01, every Monday at 09:00 UTC",
        ),
        (
            {"holding_days": 14, "batch_minute_utc": 5, "auto_batch_enabled": True},
            "0.5 % of each purchase, payable after 14 days, minimum payout $0.01, every Friday at 15:05 UTC",
        ),
    ],
)
def test_terms_in_force_are_one_line(changed: dict[str, object], line: str) -> None:
    assert terms_line(ReferralSettings.model_validate(changed)) == line
