"""Limits of a batch and selections: exclusions are recorded with the reason, and come first in the next batch."""

from __future__ import annotations

import pytest

from cashback.database.payouts import exclusions, proposals
from cashback.domain.errors import BlacklistedError, CashbackError, NothingPendingError
from cashback.domain.model import BatchLimits, BatchSummary, ReasonCount, Selection
from tests.conftest import LedgerFixture

pytestmark = pytest.mark.anyio


async def propose(
    till: LedgerFixture,
    terms: BatchLimits | None = None,
    *,
    least: int = 1,
    only: set[int] | None = None,
    exclude: set[int] | None = None,
) -> BatchSummary:
    """Plan a batch under these terms."""
    return await till.database.write(
        proposals.propose,
        actor="cli",
        now=till.clock(),
        expires_at=None,
        min_payout_cents=least,
        terms=terms or BatchLimits(),
        selection=Selection(only=frozenset(only or ()), exclude=frozenset(exclude or ())),
    )


async def pay(till: LedgerFixture, terms: BatchLimits) -> list[int]:
    """Pay a batch under these limits; return the paid referrers."""
    number = (await propose(till, terms)).batch_number
    await till.approve(number)
    await till.run(number)
    return planned(till, number)


def planned(till: LedgerFixture, number: int) -> list[int]:
    return [referrer for referrer, *_ in till.payouts(number)]


async def left_out(till: LedgerFixture, number: int) -> dict[int, str]:
    found = await till.database.read(exclusions.of_batch, number, limit=100)
    return {row.referrer_id: row.reason for row in found}


async def test_largest_are_paid_first_and_excluded_ones_first_next_time(till: LedgerFixture) -> None:
    terms = BatchLimits(max_users=2)
    everyone = {1: 500, 2: 400, 3: 300, 4: 200, 5: 100}
    await till.earn_all(everyone.items())
    assert await pay(till, terms) == [1, 2]
    for expected in ([3, 4], [1, 5], [2, 3], [1, 4]):
        await till.earn_all(everyone.items())
        assert await pay(till, terms) == expected, "nobody waits for ever"


async def test_preview_equals_proposal_and_writes_nothing(till: LedgerFixture) -> None:
    await till.earn_all({1: 900, 2: 500, 3: 400, 4: 300, 5: 7}.items())
    before = till.money(), till.rows("SELECT * FROM cashback_audit_log")
    terms = BatchLimits(max_users=3, max_total_cents=800)
    ahead = await till.database.write(
        proposals.preview, now=till.clock(), min_payout_cents=10, hold_leavers=False, terms=terms
    )
    assert (till.money(), till.rows("SELECT * FROM cashback_audit_log")) == before
    for table in ("cashback_payout_batches", "cashback_payouts", "cashback_payout_exclusions"):
        assert till.rows(f"SELECT * FROM {table}") == []
    summary = await propose(till, terms, least=10)
    assert (ahead.users, ahead.total_cents, ahead.left_out) == (summary.users, summary.total_cents, summary.left_out)
    assert ahead.top == summary.top[: len(ahead.top)]
    assert {each.reason for each in ahead.left_out} == {"over_total_limit", "below_minimum"}


async def test_preview_with_all_excluded_gives_the_reasons(till: LedgerFixture) -> None:
    await till.earn(1, 900)
    ahead = await till.database.write(
        proposals.preview,
        now=till.clock(),
        min_payout_cents=1,
        hold_leavers=False,
        terms=BatchLimits(max_total_cents=800),
    )
    assert (ahead.users, ahead.total_cents, ahead.top) == (0, 0, ())
    assert ahead.left_out == (ReasonCount(reason="over_total_limit", count=1, cents=900),)


async def test_exclusions_are_in_summary_and_report(till: LedgerFixture) -> None:
    await till.earn_all({1: 900, 2: 500, 3: 400, 4: 300, 5: 7, 6: 250}.items())
    terms = BatchLimits(max_users=3, max_total_cents=800)
    summary = await propose(till, terms, least=10, exclude={6})
    number = summary.batch_number
    assert planned(till, number) == [2]
    assert await left_out(till, number) == {
        1: "over_total_limit",
        3: "over_total_limit",
        4: "over_total_limit",
        5: "below_minimum",
        6: "excluded",
    }
    assert summary.left_out == (
        ReasonCount(reason="below_minimum", count=1, cents=7),
        ReasonCount(reason="excluded", count=1, cents=250),
        ReasonCount(reason="over_total_limit", count=3, cents=1600),
    )
    await till.approve(number)
    assert (await till.run(number)).reports[0].left_out == summary.left_out
    assert sum([await till.pending(referrer) for referrer in range(1, 7)]) == 1857


async def test_referrer_over_the_limit_does_not_block_others(till: LedgerFixture) -> None:
    await till.earn_all({1: 900, 2: 500, 3: 300}.items())
    assert await pay(till, BatchLimits(max_total_cents=800)) == [2, 3]
    await till.earn_all({2: 500, 3: 300}.items())
    assert await pay(till, BatchLimits(max_total_cents=800)) == [2, 3]
    assert await pay(till, BatchLimits(max_total_cents=900)) == [1]


async def test_batch_for_selection_lists_only_selected(till: LedgerFixture) -> None:
    await till.earn_all((referrer, 100) for referrer in range(1, 100))
    summary = await propose(till, only={3, 7})
    assert planned(till, summary.batch_number) == [3, 7]
    assert (summary.users, summary.selected_count, summary.left_out) == (2, 2, ())
    assert await left_out(till, summary.batch_number) == {}
    details = till.rows("SELECT details FROM cashback_audit_log WHERE action = 'batch_proposed'")[0][0]
    assert '"only": [3, 7]' in details


async def test_excluding_members_with_nothing_pending_is_no_error(till: LedgerFixture) -> None:
    await till.earn_all([(1, 100), (2, 100), (3, 100)])
    await till.database.blacklist_referral_user(2)
    summary = await propose(till, exclude={1, 2, 77})
    assert (summary.users, summary.total_cents) == (1, 100)
    with pytest.raises(CashbackError, match="ember -1"):
        await propose(till, exclude={-1})


async def test_unknown_selected_member_is_refused(till: LedgerFixture) -> None:
    await till.earn_all([(1, 100), (2, 100)])
    await till.database.blacklist_referral_user(2)
    for wrong, error in ((77, NothingPendingError), (2, BlacklistedError), (-1, CashbackError)):
        with pytest.raises(error, match=f"[Mm]ember {wrong}"):
            await propose(till, only={1, wrong})
    assert till.rows("SELECT 1 FROM cashback_payout_batches") == []


async def test_all_excluded_is_refused_with_the_reasons(till: LedgerFixture) -> None:
    await till.earn(1, 100)
    with pytest.raises(NothingPendingError, match="but that of members who are left out"):
        await propose(till, exclude={1})
    assert till.rows("SELECT 1 FROM cashback_payout_exclusions") == []
