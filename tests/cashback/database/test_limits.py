"""Limits of a batch and selections: exclusions are recorded with the reason, and come first in the next batch."""

from __future__ import annotations

import pytest

from cashback.database.payouts import exclusions, proposals
from cashback.domain.errors import BlacklistedError, CashbackError, NothingPendingError
from cashback.domain.model import BatchLimits, BatchSummary, ReasonCount, Selection
from tests.conftest import LedgerFixture

pytestmark = pytest.mark.anyio


async def propose(
    ledger: LedgerFixture,
    terms: BatchLimits | None = None,
    *,
    least: int = 1,
    only: set[int] | None = None,
    exclude: set[int] | None = None,
) -> BatchSummary:
    """Plan a batch under these terms."""
    return await ledger.database.write(
        proposals.propose,
        actor="cli",
        now=ledger.clock(),
        expires_at=None,
        min_payout_cents=least,
        terms=terms or BatchLimits(),
        selection=Selection(only=frozenset(only or ()), exclude=frozenset(exclude or ())),
    )


async def pay(ledger: LedgerFixture, terms: BatchLimits) -> list[int]:
    """Pay a batch under these limits; return the paid referrers."""
    number = (await propose(ledger, terms)).batch_number
    await ledger.approve(number)
    await ledger.run(number)
    return planned(ledger, number)


def planned(ledger: LedgerFixture, number: int) -> list[int]:
    return [referrer for referrer, *_ in ledger.payouts(number)]


async def left_out(ledger: LedgerFixture, number: int) -> dict[int, str]:
    found = await ledger.database.read(exclusions.of_batch, number, limit=100)
    return {row.referrer_id: row.reason for row in found}


async def test_largest_are_paid_first_and_excluded_ones_first_next_time(ledger: LedgerFixture) -> None:
    terms = BatchLimits(max_users=2)
    everyone = {1: 500, 2: 400, 3: 300, 4: 200, 5: 100}
    await ledger.earn_all(everyone.items())
    assert await pay(ledger, terms) == [1, 2]
    for expected in ([3, 4], [1, 5], [2, 3], [1, 4]):
        await ledger.earn_all(everyone.items())
        assert await pay(ledger, terms) == expected, "nobody waits for ever"


async def test_preview_equals_proposal_and_writes_nothing(ledger: LedgerFixture) -> None:
    await ledger.earn_all({1: 900, 2: 500, 3: 400, 4: 300, 5: 7}.items())
    before = ledger.money(), ledger.rows("SELECT * FROM cashback_audit_log")
    terms = BatchLimits(max_users=3, max_total_cents=800)
    ahead = await ledger.database.write(
        proposals.preview, now=ledger.clock(), min_payout_cents=10, hold_leavers=False, terms=terms
    )
    assert (ledger.money(), ledger.rows("SELECT * FROM cashback_audit_log")) == before
    for table in ("cashback_payout_batches", "cashback_payouts", "cashback_payout_exclusions"):
        assert ledger.rows(f"SELECT * FROM {table}") == []
    summary = await propose(ledger, terms, least=10)
    assert (ahead.users, ahead.total_cents, ahead.left_out) == (summary.users, summary.total_cents, summary.left_out)
    assert ahead.top == summary.top[: len(ahead.top)]
    assert {each.reason for each in ahead.left_out} == {"over_total_limit", "below_minimum"}


async def test_preview_with_all_excluded_gives_the_reasons(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 900)
    ahead = await ledger.database.write(
        proposals.preview,
        now=ledger.clock(),
        min_payout_cents=1,
        hold_leavers=False,
        terms=BatchLimits(max_total_cents=800),
    )
    assert (ahead.users, ahead.total_cents, ahead.top) == (0, 0, ())
    assert ahead.left_out == (ReasonCount(reason="over_total_limit", count=1, cents=900),)


async def test_exclusions_are_in_summary_and_report(ledger: LedgerFixture) -> None:
    await ledger.earn_all({1: 900, 2: 500, 3: 400, 4: 300, 5: 7, 6: 250}.items())
    terms = BatchLimits(max_users=3, max_total_cents=800)
    summary = await propose(ledger, terms, least=10, exclude={6})
    number = summary.batch_number
    assert planned(ledger, number) == [2]
    assert await left_out(ledger, number) == {
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
    await ledger.approve(number)
    assert (await ledger.run(number)).reports[0].left_out == summary.left_out
    assert sum([await ledger.pending(referrer) for referrer in range(1, 7)]) == 1857


async def test_referrer_over_the_limit_does_not_block_others(ledger: LedgerFixture) -> None:
    await ledger.earn_all({1: 900, 2: 500, 3: 300}.items())
    assert await pay(ledger, BatchLimits(max_total_cents=800)) == [2, 3]
    await ledger.earn_all({2: 500, 3: 300}.items())
    assert await pay(ledger, BatchLimits(max_total_cents=800)) == [2, 3]
    assert await pay(ledger, BatchLimits(max_total_cents=900)) == [1]


async def test_batch_for_selection_lists_only_selected(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in range(1, 100))
    summary = await propose(ledger, only={3, 7})
    assert planned(ledger, summary.batch_number) == [3, 7]
    assert (summary.users, summary.selected_count, summary.left_out) == (2, 2, ())
    assert await left_out(ledger, summary.batch_number) == {}
    details = ledger.rows("SELECT details FROM cashback_audit_log WHERE action = 'batch_proposed'")[0][0]
    assert '"only": [3, 7]' in details


async def test_excluding_members_with_nothing_pending_is_no_error(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 100), (3, 100)])
    await ledger.database.blacklist_referral_user(2)
    summary = await propose(ledger, exclude={1, 2, 77})
    assert (summary.users, summary.total_cents) == (1, 100)
    with pytest.raises(CashbackError, match="ember -1"):
        await propose(ledger, exclude={-1})


async def test_unknown_selected_member_is_refused(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 100), (2, 100)])
    await ledger.database.blacklist_referral_user(2)
    for wrong, error in ((77, NothingPendingError), (2, BlacklistedError), (-1, CashbackError)):
        with pytest.raises(error, match=f"[Mm]ember {wrong}"):
            await propose(ledger, only={1, wrong})
    assert ledger.rows("SELECT 1 FROM cashback_payout_batches") == []


async def test_all_excluded_is_refused_with_the_reasons(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    with pytest.raises(NothingPendingError, match="except for excluded members"):
        await propose(ledger, exclude={1})
    assert ledger.rows("SELECT 1 FROM cashback_payout_exclusions") == []
