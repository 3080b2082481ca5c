"""Batches from proposal to end, move by move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cashback.database.payouts import batches, crediting, proposals, runs
from cashback.domain.errors import (
    BlacklistedError,
    CashbackError,
    NothingPendingError,
    StaleBatchError,
    UnknownBatchError,
)
from cashback.domain.model import BatchMode, BatchStatus, ChunkDiscovered
from tests.conftest import FRIDAY, Clock, LedgerFixture

pytestmark = pytest.mark.anyio


async def test_a_summary_tells_exactly_what_is_stored(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 10 * referrer) for referrer in range(1, 13))
    await ledger.earn(3, 500)
    summary = await ledger.propose(actor="discord:9")
    assert (summary.users, summary.total_cents, summary.mode) == (12, 1280, BatchMode.BATCH)
    assert summary.average_cents == 107
    assert [(line.referrer_id, line.approved_cents, line.referral_count) for line in summary.top[:3]] == [
        (3, 530, 2),
        (12, 120, 1),
        (11, 110, 1),
    ]
    assert len(summary.top) == 10
    assert summary.expires_at == FRIDAY + timedelta(seconds=120)
    assert ledger.rows("SELECT sum(approved_cents), count(*) FROM cashback_payouts WHERE batch_number = 1") == [
        (1280, 12)
    ]
    assert await ledger.database.read(proposals.summary, summary.batch_number) == summary


async def test_nothing_pending_plans_nothing(ledger: LedgerFixture) -> None:
    with pytest.raises(NothingPendingError, match="No referral cashback is pending"):
        await ledger.propose()
    await ledger.database.create_referral(1, 2)
    with pytest.raises(NothingPendingError, match="Member 1 has no pending cashback"):
        await ledger.propose(target_user_id=1)
    assert ledger.rows("SELECT * FROM cashback_payout_batches") == []
    assert ledger.rows("SELECT * FROM cashback_audit_log") == []


async def test_one_referrer_alone_is_paid(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2, 3))
    report = await ledger.pay(target_user_id=2)
    assert (report.mode, report.target_user_id, report.users_paid, report.total_cents) == ("individual", 2, 1, 100)
    assert [ledger.balance(referrer) for referrer in (1, 2, 3)] == [0, 100, 0]


async def test_a_blacklisted_referrer_is_refused_alone_and_left_out_of_all(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2))
    await ledger.database.blacklist_referral_user(2)
    with pytest.raises(BlacklistedError, match="Member 2 is blacklisted"):
        await ledger.propose(target_user_id=2)
    assert (await ledger.propose()).users == 1


@pytest.mark.parametrize("target", [0, -1, 2**63])
async def test_a_target_is_an_id(ledger: LedgerFixture, target: int) -> None:
    with pytest.raises(CashbackError, match="is not a Discord id"):
        await ledger.propose(target_user_id=target)


async def test_who_is_owed_less_than_the_least_payout_waits(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 499), (2, 500)])
    summary = await ledger.database.write(
        proposals.propose, actor="cli", now=FRIDAY, expires_at=None, min_payout_cents=500
    )
    assert (summary.users, summary.total_cents) == (1, 500)


async def test_batch_ids_are_named_after_their_second_in_utc(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 1)
    clock.moment = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    assert await ledger.approve((await ledger.propose()).batch_number) == "BATCH-20260102-030405"


async def test_batches_of_one_second_take_the_next_free_ones(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 1)
    clock.moment = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
    numbers = [(await ledger.propose()).batch_number for _ in range(4)]
    assert [await ledger.approve(number) for number in numbers] == [
        "BATCH-20261231-235958",
        "BATCH-20261231-235959",
        "BATCH-20270101-000000",
        "BATCH-20270101-000001",
    ]


async def test_a_batch_is_found_by_its_id(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 1)
    number = (await ledger.propose()).batch_number
    assert await ledger.database.read(batches.find_by_id, await ledger.approve(number)) == number
    with pytest.raises(UnknownBatchError, match="There is no batch BATCH-X"):
        await ledger.database.read(batches.find_by_id, "BATCH-X")
    for call in (batches.report, proposals.summary):
        with pytest.raises(UnknownBatchError, match="There is no batch number 99"):
            await ledger.database.read(call, 99)


@pytest.mark.parametrize(("seconds", "in_time"), [(119.999, True), (120, False), (86_400, False)])
async def test_the_deadline_is_checked_at_the_click(
    ledger: LedgerFixture, clock: Clock, seconds: float, *, in_time: bool
) -> None:
    await ledger.earn(1, 100)
    number = (await ledger.propose()).batch_number
    clock.advance(seconds)
    if in_time:
        await ledger.approve(number)
    else:
        with pytest.raises(StaleBatchError, match="expired at 2026-07-03 15:02:00 UTC; nothing was paid"):
            await ledger.approve(number)
    assert (await ledger.report(number)).status == ("approved" if in_time else "proposed")


async def test_overdue_proposals_expire_and_others_stay(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 100)
    old, approved = (await ledger.propose()).batch_number, await ledger.approved()
    clock.advance(60)
    young = (await ledger.propose()).batch_number
    clock.advance(60)
    assert await ledger.database.write(proposals.expire, now=clock()) == [old]
    assert await ledger.database.write(proposals.expire, now=clock()) == []
    assert [(await ledger.report(number)).status for number in (old, approved, young)] == [
        BatchStatus.EXPIRED,
        BatchStatus.APPROVED,
        BatchStatus.PROPOSED,
    ]
    with pytest.raises(StaleBatchError, match="was expired"):
        await ledger.approve(old)


async def test_a_cancelled_batch_stays_cancelled(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number = (await ledger.propose()).batch_number
    await ledger.database.write(proposals.cancel, number, actor="cli", now=FRIDAY)
    for act in (ledger.approve(number), ledger.database.write(proposals.cancel, number, actor="cli", now=FRIDAY)):
        with pytest.raises(StaleBatchError, match="was cancelled; nothing was paid"):
            await act
    assert await ledger.database.write(runs.start, number, now=FRIDAY) is runs.Start.NOT_STARTED
    assert ledger.rows("SELECT action FROM cashback_audit_log") == [("batch_proposed",), ("batch_cancelled",)]


async def test_what_is_approved_can_no_longer_be_cancelled(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    with pytest.raises(StaleBatchError, match="confirmed already by cli"):
        await ledger.database.write(proposals.cancel, number, actor="cli", now=FRIDAY)


async def test_a_batch_is_not_finished_while_payouts_are_planned(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 1), (2, 2)])
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=FRIDAY)
    chunk = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=1)
    await ledger.database.write(crediting.credit_chunk, chunk, now=FRIDAY)
    with pytest.raises(StaleBatchError, match="still has 1 planned payouts"):
        await ledger.database.write(runs.finish, number, now=FRIDAY)
    assert await ledger.database.read(batches.unfinished) == [number]


async def test_a_report_tells_when_who_and_how_much(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 100), (2, 200)])
    number = (await ledger.propose(actor="discord:7")).batch_number
    clock.advance(30)
    await ledger.approve(number, actor="discord:7")
    clock.advance(10)
    report = (await ledger.run(number)).reports[0]
    assert report == await ledger.report(number)
    assert (report.proposed_by, report.approved_by, report.proposed_at) == ("discord:7", "discord:7", FRIDAY)
    assert report.finished_at == FRIDAY + timedelta(seconds=40)
    assert (report.users_planned, report.approved_cents, report.users_paid, report.total_cents) == (2, 300, 2, 300)
    assert (report.dm_queued, report.dm_sent) == (2, 0)
    assert ledger.rows("SELECT action, actor FROM cashback_audit_log ORDER BY id") == [
        ("batch_proposed", "discord:7"),
        ("batch_approved", "discord:7"),
        ("batch_finished", "discord:7"),
    ]


async def test_history_pages_through_batches_newest_first(ledger: LedgerFixture) -> None:
    for cents in (1, 2, 3):
        await ledger.earn(1, cents)
        await ledger.pay()
    pages = [await ledger.database.read(batches.history, limit=2, offset=offset) for offset in (0, 2)]
    assert [[(one["number"], one["credited_cents"]) for one in page] for page in pages] == [[(3, 3), (2, 2)], [(1, 1)]]


async def test_payouts_page_in_key_order(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 1) for referrer in (5, 3, 9))
    number = await ledger.approved()
    first = await ledger.database.read(batches.payouts_of, number, limit=2)
    rest = await ledger.database.read(batches.payouts_of, number, limit=2, after_referrer_id=first[-1]["referrer_id"])
    assert [one["referrer_id"] for one in [*first, *rest]] == [3, 5, 9]


async def test_a_moment_without_a_time_zone_is_an_error(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    naive = datetime(2026, 7, 3, 15)  # noqa: DTZ001 -- this is what must fail
    with pytest.raises(Exception, match="has no time zone"):
        await ledger.database.write(proposals.propose, actor="cli", now=naive, expires_at=None)
    assert ledger.rows("SELECT * FROM cashback_payout_batches") == []


async def test_a_moment_of_another_zone_is_kept_in_utc(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    summer = datetime.fromisoformat("2026-07-03T17:00:00+02:00")
    summary = await ledger.database.write(proposals.propose, actor="cli", now=summer, expires_at=None)
    assert summary.proposed_at == FRIDAY
    assert ledger.rows("SELECT proposed_at FROM cashback_payout_batches") == [("2026-07-03 15:00:00.000000",)]
