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


async def test_a_summary_tells_exactly_what_is_stored(till: LedgerFixture) -> None:
    await till.earn_all((referrer, 10 * referrer) for referrer in range(1, 13))
    await till.earn(3, 500)
    summary = await till.propose(actor="discord:9")
    assert (summary.users, summary.total_cents, summary.mode) == (12, 1280, BatchMode.BATCH)
    assert summary.average_cents == 107
    assert [(line.referrer_id, line.approved_cents, line.referral_count) for line in summary.top[:3]] == [
        (3, 530, 2),
        (12, 120, 1),
        (11, 110, 1),
    ]
    assert len(summary.top) == 10
    assert summary.expires_at == FRIDAY + timedelta(seconds=120)
    assert till.rows("SELECT sum(approved_cents), count(*) FROM cashback_payouts WHERE batch_number = 1") == [
        (1280, 12)
    ]
    assert await till.database.read(proposals.summary, summary.batch_number) == summary


async def test_nothing_pending_plans_nothing(till: LedgerFixture) -> None:
    with pytest.raises(NothingPendingError, match="No referral cashback is pending"):
        await till.propose()
    await till.database.create_referral(1, 2)
    with pytest.raises(NothingPendingError, match="Member 1 has no pending cashback"):
        await till.propose(target_user_id=1)
    assert till.rows("SELECT * FROM cashback_payout_batches") == []
    assert till.rows("SELECT * FROM cashback_audit_log") == []


async def test_one_referrer_alone_is_paid(till: LedgerFixture) -> None:
    await till.earn_all((referrer, 100) for referrer in (1, 2, 3))
    report = await till.pay(target_user_id=2)
    assert (report.mode, report.target_user_id, report.users_paid, report.total_cents) == ("individual", 2, 1, 100)
    assert [till.balance(referrer) for referrer in (1, 2, 3)] == [0, 100, 0]


async def test_a_blacklisted_referrer_is_refused_alone_and_left_out_of_all(till: LedgerFixture) -> None:
    await till.earn_all((referrer, 100) for referrer in (1, 2))
    await till.database.blacklist_referral_user(2)
    with pytest.raises(BlacklistedError, match="Member 2 is blacklisted"):
        await till.propose(target_user_id=2)
    assert (await till.propose()).users == 1


@pytest.mark.parametrize("target", [0, -1, 2**63])
async def test_a_target_is_an_id(till: LedgerFixture, target: int) -> None:
    with pytest.raises(CashbackError, match="is not a Discord id"):
        await till.propose(target_user_id=target)


async def test_who_is_owed_less_than_the_least_payout_waits(till: LedgerFixture) -> None:
    await till.earn_all([(1, 499), (2, 500)])
    summary = await till.database.write(
        proposals.propose, actor="cli", now=FRIDAY, expires_at=None, min_payout_cents=500
    )
    assert (summary.users, summary.total_cents) == (1, 500)


async def test_batch_ids_are_named_after_their_second_in_utc(till: LedgerFixture, clock: Clock) -> None:
    await till.earn(1, 1)
    clock.moment = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    assert await till.approve((await till.propose()).batch_number) == "BATCH-20260102-030405"


async def test_batches_of_one_second_take_the_next_free_ones(till: LedgerFixture, clock: Clock) -> None:
    await till.earn(1, 1)
    clock.moment = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
    numbers = [(await till.propose()).batch_number for _ in range(4)]
    assert [await till.approve(number) for number in numbers] == [
        "BATCH-20261231-235958",
        "BATCH-20261231-235959",
        "BATCH-20270101-000000",
        "BATCH-20270101-000001",
    ]


async def test_a_batch_is_found_by_its_id(till: LedgerFixture) -> None:
    await till.earn(1, 1)
    number = (await till.propose()).batch_number
    assert await till.database.read(batches.find_by_id, await till.approve(number)) == number
    with pytest.raises(UnknownBatchError, match="There is no batch BATCH-X"):
        await till.database.read(batches.find_by_id, "BATCH-X")
    for call in (batches.report, proposals.summary):
        with pytest.raises(UnknownBatchError, match="There is no batch number 99"):
            await till.database.read(call, 99)


@pytest.mark.parametrize(("seconds", "in_time"), [(119.999, True), (120, False), (86_400, False)])
async def test_the_deadline_is_checked_at_the_click(
    till: LedgerFixture, clock: Clock, seconds: float, *, in_time: bool
) -> None:
    await till.earn(1, 100)
    number = (await till.propose()).batch_number
    clock.advance(seconds)
    if in_time:
        await till.approve(number)
    else:
        with pytest.raises(StaleBatchError, match="expired at 2026-07-03 15:02:00 UTC; nothing was paid"):
            await till.approve(number)
    assert (await till.report(number)).status == ("approved" if in_time else "proposed")


async def test_overdue_proposals_expire_and_others_stay(till: LedgerFixture, clock: Clock) -> None:
    await till.earn(1, 100)
    old, approved = (await till.propose()).batch_number, await till.approved()
    clock.advance(60)
    young = (await till.propose()).batch_number
    clock.advance(60)
    assert await till.database.write(proposals.expire, now=clock()) == [old]
    assert await till.database.write(proposals.expire, now=clock()) == []
    assert [(await till.report(number)).status for number in (old, approved, young)] == [
        BatchStatus.EXPIRED,
        BatchStatus.APPROVED,
        BatchStatus.PROPOSED,
    ]
    with pytest.raises(StaleBatchError, match="was expired"):
        await till.approve(old)


async def test_a_cancelled_batch_stays_cancelled(till: LedgerFixture) -> None:
    await till.earn(1, 100)
    number = (await till.propose()).batch_number
    await till.database.write(proposals.cancel, number, actor="cli", now=FRIDAY)
    for act in (till.approve(number), till.database.write(proposals.cancel, number, actor="cli", now=FRIDAY)):
        with pytest.raises(StaleBatchError, match="was cancelled; nothing was paid"):
            await act
    assert await till.database.write(runs.start, number, now=FRIDAY) is runs.Start.NOT_STARTED
    assert till.rows("SELECT action FROM cashback_audit_log") == [("batch_proposed",), ("batch_cancelled",)]


async def test_what_is_approved_can_no_longer_be_cancelled(till: LedgerFixture) -> None:
    await till.earn(1, 100)
    number = await till.approved()
    with pytest.raises(StaleBatchError, match="confirmed already by cli"):
        await till.database.write(proposals.cancel, number, actor="cli", now=FRIDAY)


async def test_a_batch_is_not_finished_while_payouts_are_planned(till: LedgerFixture) -> None:
    await till.earn_all([(1, 1), (2, 2)])
    number = await till.approved()
    await till.database.write(runs.start, number, now=FRIDAY)
    chunk = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=1)
    await till.database.write(crediting.credit_chunk, chunk, now=FRIDAY)
    with pytest.raises(StaleBatchError, match="still has 1 planned payouts"):
        await till.database.write(runs.finish, number, now=FRIDAY)
    assert await till.database.read(batches.unfinished) == [number]


async def test_a_report_tells_when_who_and_how_much(till: LedgerFixture, clock: Clock) -> None:
    await till.earn_all([(1, 100), (2, 200)])
    number = (await till.propose(actor="discord:7")).batch_number
    clock.advance(30)
    await till.approve(number, actor="discord:7")
    clock.advance(10)
    report = (await till.run(number)).reports[0]
    assert report == await till.report(number)
    assert (report.proposed_by, report.approved_by, report.proposed_at) == ("discord:7", "discord:7", FRIDAY)
    assert report.finished_at == FRIDAY + timedelta(seconds=40)
    assert (report.users_planned, report.approved_cents, report.users_paid, report.total_cents) == (2, 300, 2, 300)
    assert (report.dm_queued, report.dm_sent) == (2, 0)
    assert till.rows("SELECT action, actor FROM cashback_audit_log ORDER BY id") == [
        ("batch_proposed", "discord:7"),
        ("batch_approved", "discord:7"),
        ("batch_finished", "discord:7"),
    ]


async def test_history_pages_through_batches_newest_first(till: LedgerFixture) -> None:
    for cents in (1, 2, 3):
        await till.earn(1, cents)
        await till.pay()
    pages = [await till.database.read(batches.history, limit=2, offset=offset) for offset in (0, 2)]
    assert [[(one["number"], one["credited_cents"]) for one in page] for page in pages] == [[(3, 3), (2, 2)], [(1, 1)]]


async def test_payouts_page_in_key_order(till: LedgerFixture) -> None:
    await till.earn_all((referrer, 1) for referrer in (5, 3, 9))
    number = await till.approved()
    first = await till.database.read(batches.payouts_of, number, limit=2)
    rest = await till.database.read(batches.payouts_of, number, limit=2, after_referrer_id=first[-1]["referrer_id"])
    assert [one["referrer_id"] for one in [*first, *rest]] == [3, 5, 9]


async def test_a_moment_without_a_time_zone_is_an_error(till: LedgerFixture) -> None:
    await till.earn(1, 100)
    naive = datetime(2026, 7, 3, 15)  # noqa: DTZ001 -- this is what must fail
    with pytest.raises(Exception, match="has no time zone"):
        await till.database.write(proposals.propose, actor="cli", now=naive, expires_at=None)
    assert till.rows("SELECT * FROM cashback_payout_batches") == []


async def test_a_moment_of_another_zone_is_kept_in_utc(till: LedgerFixture) -> None:
    await till.earn(1, 100)
    summer = datetime.fromisoformat("2026-07-03T17:00:00+02:00")
    summary = await till.database.write(proposals.propose, actor="cli", now=summer, expires_at=None)
    assert summary.proposed_at == FRIDAY
    assert till.rows("SELECT proposed_at FROM cashback_payout_batches") == [("2026-07-03 15:00:00.000000",)]
