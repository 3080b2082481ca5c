"""The complete record of each action: actor, moment, batch, amount; and no other batch is affected."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cashback.background.chunk_size import ChunkSize
from cashback.database.payouts import absences, crediting, runs
from cashback.domain.errors import CashbackError, NothingPendingError, StaleBatchError
from cashback.domain.model import Absence, BatchStatus, ChunkCredited, ChunkDiscovered, Selection
from cashback.services import AdminService
from cashback.settings import ReferralSettings, RoleIds, Settings
from stages.crediting import Crediting
from tests.cashback.services.test_admin_service import ADMIN, ADMIN_ROLE, MEMBER, OTHER_ADMIN, Queue, refusals
from tests.conftest import FRIDAY, Clock, LedgerFixture, raw

pytestmark = pytest.mark.anyio


def service_of(
    ledger: LedgerFixture,
    submit: Callable[[int], int] | None = None,
    **referral_settings: Any,  # noqa: ANN401 -- settings of several types
) -> AdminService:
    """Open a service with these settings; by default its runner takes every batch."""
    settings = Settings(
        role_ids=RoleIds(admin=ADMIN_ROLE), referral_settings=ReferralSettings.model_validate(referral_settings)
    )
    return AdminService(ledger.database, settings, submit or Queue().submit)


def entries(ledger: LedgerFixture, action: str) -> list[tuple[str, int | None, dict[str, Any]]]:
    """Read the audit entries of a kind: actor, batch, details."""
    found = ledger.rows(
        "SELECT actor, batch_number, details FROM cashback_audit_log WHERE action = ? ORDER BY id", action
    )
    return [(actor, number, json.loads(details)) for actor, number, details in found]


def moments(ledger: LedgerFixture, number: int) -> tuple[Any, ...]:
    """Read when a batch was approved first, approved, started and finished, in seconds from the first Friday."""
    query = (
        "SELECT first_approved_at, approved_at, started_at, finished_at FROM cashback_payout_batches WHERE number = ?"
    )
    return tuple(
        None if one is None else (datetime.fromisoformat(one).replace(tzinfo=UTC) - FRIDAY).total_seconds()
        for one in ledger.rows(query, number)[0]
    )


def break_wallet(ledger: LedgerFixture, person: int) -> None:
    """Make a wallet refuse to be written."""
    with raw(ledger.location) as connection:
        connection.execute(
            f"CREATE TRIGGER broken_{person} BEFORE UPDATE OF wallet_balance_cents ON users"
            f" WHEN OLD.discord_id = {person} BEGIN SELECT RAISE(ABORT, 'no'); END"
        )


async def test_replayed_chunk_returns_each_outcome(ledger: LedgerFixture, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "stages.crediting")
    await ledger.earn_all((person, 100 * person) for person in (1, 2, 3, 4))
    number = await ledger.approved()
    break_wallet(ledger, 2)
    await ledger.database.blacklist_referral_user(3)
    recorder = await ledger.run(number)
    assert recorder.chunks == [ChunkCredited(batch_number=number, credited=2, credited_cents=500, failed=1, skipped=1)]
    assert [record.getMessage() for record in caplog.records] == [
        "batch 1: a chunk failed and is replayed payee by payee: The ledger refused a row: no.",
        "batch 1: the payout to 2 failed: The ledger refused a row: no.",
    ]


async def test_payout_failing_alone_fails_in_the_batch(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 200)])
    number = await ledger.approved()
    break_wallet(ledger, 1)
    recorder = await ledger.run(number, chunk_size=1)
    assert recorder.chunks == [
        ChunkCredited(batch_number=number, credited=0, credited_cents=0, failed=1, skipped=0),
        ChunkCredited(batch_number=number, credited=1, credited_cents=200, failed=0, skipped=0),
    ]


async def test_credited_payout_has_complete_wallet_transaction(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 100), (2, 200), (2, 50), (3, 300)])
    await ledger.pay(target_user_id=3)
    clock.advance(60)
    number = await ledger.approved()
    clock.advance(5)
    await ledger.run(number)
    columns = (
        "user_discord_id, amount_cents, balance_after_cents, transaction_type, description, metadata, created_at,"
        " cashback_payout_batch_number"
    )
    found = ledger.rows(
        f"SELECT {columns} FROM wallet_transactions WHERE cashback_payout_batch_number = ? ORDER BY 1", number
    )
    kind, at = "referral_cashback", "2026-07-03 15:01:05.000000"
    one = '{"batch_id": "BATCH-20260703-150100", "referral_count": 1}'
    two = '{"batch_id": "BATCH-20260703-150100", "referral_count": 2}'
    assert found == [
        (1, 100, 100, kind, "Referral cashback - 1 active referral", one, at, number),
        (2, 250, 250, kind, "Referral cashback - 2 active referrals", two, at, number),
    ]
    wallets = "SELECT discord_id, wallet_balance_cents, updated_at FROM users WHERE discord_id < 10 ORDER BY 1"
    assert ledger.rows(wallets) == [
        (1, 100, at),
        (2, 250, at),
        (3, 300, "2026-07-03 15:00:00.000000"),
    ]


async def test_chunk_contains_only_planned_payouts_of_its_batch(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 200), (3, 300), (4, 400)])
    everyone, one = await ledger.approved(), await ledger.approved(target_user_id=3)

    async def found(number: int, after: int = 0) -> tuple[int, int] | None:
        chunk = await ledger.database.read(crediting.next_chunk, number, after_referrer_id=after, size=2)
        return None if chunk is None else (chunk.first_referrer_id, chunk.last_referrer_id)

    assert await found(one) is None, "it is approved, not running"
    for each in (everyone, one):
        await ledger.database.write(runs.start, each, now=FRIDAY)
    assert await found(one) == (3, 3)
    assert await found(everyone) == (1, 2)
    assert await found(everyone, after=2) == (3, 4)
    assert await found(everyone, after=4) is None
    await ledger.database.write(crediting.fail_payout, everyone, 1, reason="no", now=FRIDAY)
    assert await found(everyone) == (2, 3)


async def test_stopped_batch_names_the_remaining_chunk(ledger: LedgerFixture, caplog: pytest.LogCaptureFixture) -> None:
    """The batch is stopped after discovery has found the chunk and before it is credited."""
    caplog.set_level(logging.INFO, "stages.crediting")
    await ledger.earn(1, 100)
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=FRIDAY)
    await ledger.database.write(runs.stop, number, actor="cli", now=FRIDAY)
    told: list[ChunkCredited] = []

    async def emit(credited: ChunkCredited) -> None:
        told.append(credited)

    chunk = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=1)
    await Crediting(ledger.database, ChunkSize(most=500)).handle(chunk, emit)
    assert told == []
    assert caplog.messages == ["batch 1 was stopped; a chunk of it stays planned"]


async def test_failed_payout_affects_only_its_batch(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number, other = await ledger.approved(), await ledger.approved()
    for each in (number, other):
        await ledger.database.write(runs.start, each, now=FRIDAY)
    assert await ledger.database.write(crediting.fail_payout, number, 1, reason="no", now=FRIDAY) == 1
    assert ledger.payouts(number) == [(1, "failed", 0, "no")]
    assert ledger.payouts(other) == [(1, "planned", 0, None)]


async def test_abandoned_payouts_affect_only_their_batch(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 100), (2, 200)])
    number, other = await ledger.approved(), await ledger.approved()
    await ledger.database.write(runs.stop, number, actor="discord:7", now=clock())
    report = await ledger.database.write(runs.abandon, number, actor="discord:8", now=clock.advance(60))
    assert report.status is BatchStatus.COMPLETED
    assert ledger.payouts(number) == [(1, "skipped", 0, "given_up"), (2, "skipped", 0, "given_up")]
    assert ledger.payouts(other) == [(1, "planned", 0, None), (2, "planned", 0, None)]
    settled = ledger.rows("SELECT DISTINCT settled_at FROM cashback_payouts WHERE batch_number = ?", number)
    assert settled == [("2026-07-03 15:01:00.000000",)]
    assert entries(ledger, "batch_stopped") == [("discord:7", number, {"left": 2})]
    assert entries(ledger, "batch_given_up") == [("discord:8", number, {"users": 2})]


async def test_resumed_batch_keeps_its_start(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=clock.advance(10))
    await ledger.database.write(runs.stop, number, actor="discord:7", now=clock.advance(10))
    await ledger.database.write(runs.resume, number, actor="discord:8", now=clock.advance(10))
    assert moments(ledger, number) == (None, 0, 10, None)
    assert entries(ledger, "batch_resumed") == [("discord:8", number, {})]
    await ledger.run(number)
    assert moments(ledger, number) == (None, 0, 10, 30)
    [(_, _, told)] = entries(ledger, "batch_finished")
    assert told["status"] == "completed"


async def test_batch_stopped_before_start_starts_at_resume(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    await ledger.database.write(runs.stop, number, actor="cli", now=clock())
    await ledger.database.write(runs.resume, number, actor="cli", now=clock.advance(25))
    assert moments(ledger, number) == (None, 0, 25, None)


async def test_refusal_names_the_state(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 100)])
    number = await ledger.approved()
    break_wallet(ledger, 1)
    await ledger.run(number)
    with pytest.raises(StaleBatchError) as refused:
        await ledger.database.write(runs.stop, number, actor="cli", now=FRIDAY)
    assert str(refused.value) == "Batch BATCH-20260703-150000 is completed with failures; there is nothing to stop."


async def test_cancellation_and_expiry_are_recorded_with_actor_and_moment(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 100)
    service = service_of(ledger)
    cancelled = (await service.propose(ADMIN)).batch_number
    clock.advance(5)
    await service.cancel(ADMIN, cancelled)
    expired = (await service.propose(ADMIN)).batch_number
    clock.advance(120)
    assert await service.expire() == [expired]
    assert entries(ledger, "batch_cancelled") == [("discord:7", cancelled, {})]
    assert entries(ledger, "batch_expired") == [("system", expired, {})]
    assert [moments(ledger, number)[3] for number in (cancelled, expired)] == [5, 125]


async def test_first_approval_is_recorded_completely(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 1000)
    service = service_of(ledger, approval_threshold_cents=1000, approval_hours=3)
    number = (await service.propose(ADMIN)).batch_number
    clock.advance(7)
    await service.approve(ADMIN, number)
    assert await service.is_waiting(number)
    until = clock() + timedelta(hours=3)
    [(actor, of_batch, told)] = entries(ledger, "batch_first_approved")
    assert (actor, of_batch) == ("discord:7", number)
    assert set(told) == {"users", "total_cents", "why_two", "until"}
    assert (told["users"], told["total_cents"], told["until"]) == (1, 1000, until.isoformat())
    assert "10.00" in told["why_two"]
    assert ledger.rows("SELECT expires_at FROM cashback_payout_batches") == [("2026-07-03 18:00:07.000000",)]
    clock.advance(60)
    await service.approve(OTHER_ADMIN, number)
    assert moments(ledger, number) == (7, 67, None, None)
    assert not await service.is_waiting(number)


async def test_refused_proposal_is_audited_with_its_selection(ledger: LedgerFixture) -> None:
    with pytest.raises(CashbackError):
        await service_of(ledger).propose(MEMBER)
    assert refusals(ledger) == [("discord:9", "propose a batch")]


async def test_selection_with_only_and_without_is_refused(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 100)])
    service = service_of(ledger)
    with pytest.raises(CashbackError) as refused:
        await service.propose(ADMIN, target_user_id=1, selection=Selection(only=frozenset({2}), exclude=frozenset()))
    assert str(refused.value) == "Name one member, or some with only or exclude, not both."
    with pytest.raises(CashbackError) as refused:
        await service.propose(ADMIN, selection=Selection(only=frozenset({1, 2}), exclude=frozenset({2, 3})))
    assert str(refused.value) == "Member 2 is named by both only and exclude."
    summary = await service.propose(ADMIN, selection=Selection(only=frozenset({2}), exclude=frozenset()))
    assert [one.referrer_id for one in summary.top] == [2]
    assert (await service.propose(ADMIN, selection=Selection(only=frozenset(), exclude=frozenset({2})))).users == 1


@pytest.mark.parametrize(("policy", "paid"), [("hold", [2]), ("pay", [1, 2])])
async def test_service_withholds_leavers_if_configured(ledger: LedgerFixture, policy: str, paid: list[int]) -> None:
    await ledger.earn_all([(1, 100), (2, 100)])
    await ledger.database.write(absences.note, 1, Absence.LEFT, FRIDAY)
    summary = await service_of(ledger, leaver_policy=policy).propose(ADMIN)
    assert sorted(one.referrer_id for one in summary.top) == paid


async def test_service_defers_amounts_below_the_minimum(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 99), (2, 100)])
    summary = await service_of(ledger, min_payout_cents=100).propose(ADMIN)
    assert [one.referrer_id for one in summary.top] == [2]


async def test_missing_pending_cashback_is_explained(ledger: LedgerFixture) -> None:
    with pytest.raises(NothingPendingError) as refused:
        await ledger.propose()
    assert str(refused.value) == "No referral cashback is pending."
    await ledger.earn(1, 100)
    await ledger.database.write(absences.note, 1, Absence.GONE, FRIDAY)
    with pytest.raises(NothingPendingError) as refused:
        await ledger.propose()
    assert str(refused.value) == "No referral cashback is pending except for excluded members."
    with pytest.raises(NothingPendingError) as refused:
        await ledger.propose(target_user_id=1)
    assert str(refused.value).startswith("Member 1 is excluded: ")


async def test_batch_not_running_is_reported(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    chunk = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=1)
    with pytest.raises(StaleBatchError) as refused:
        await ledger.database.write(crediting.credit_chunk, chunk, now=FRIDAY)
    assert str(refused.value) == "Batch BATCH-20260703-150000 is approved, not running; nothing more is paid."


async def test_taken_batch_id_uses_the_next_second(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    ids = [await ledger.approve((await ledger.propose()).batch_number) for _ in range(3)]
    assert ids == [f"BATCH-20260703-15000{second}" for second in range(3)]


def lose_every_race(ledger: LedgerFixture, table: str = "cashback_payout_batches") -> None:
    """Simulate another process that is always faster: an update of a table finds nothing to change."""
    with raw(ledger.location) as connection:
        connection.execute(f"CREATE TRIGGER lost BEFORE UPDATE ON {table} BEGIN SELECT RAISE(IGNORE); END")


@pytest.mark.about_a_file("its trigger can have an update find nothing")
@pytest.mark.parametrize("threshold_cents", [None, 100])
async def test_lost_approval_race_is_refused_and_unrecorded(ledger: LedgerFixture, threshold_cents: int | None) -> None:
    await ledger.earn(1, 100)
    service = service_of(ledger, approval_threshold_cents=threshold_cents)
    number = (await service.propose(ADMIN)).batch_number
    lose_every_race(ledger)
    with pytest.raises(StaleBatchError, match="This batch was confirmed already by"):
        await service.approve(ADMIN, number)
    assert entries(ledger, "batch_approved") == entries(ledger, "batch_first_approved") == []


async def test_batch_with_wrong_payout_count_is_not_finished(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 100), (3, 100)])
    number = await ledger.approved()
    break_wallet(ledger, 1)
    await ledger.database.blacklist_referral_user(2)
    with raw(ledger.location) as connection:
        connection.execute("UPDATE cashback_payout_batches SET planned_count = 5")
    recorder = await ledger.run(number)
    assert recorder.reports == []
    assert recorder.interruptions == [(number, "Batch number 1 planned 5 payouts, but 3 are settled.")]
    ledger.honest = False
