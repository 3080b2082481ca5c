"""Flagged facts about a batch are described, and may require a second admin."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.payouts import proposals
from cashback.domain.model import BatchLimits, BatchSummary
from tests.conftest import Clock, LedgerFixture

pytestmark = pytest.mark.anyio

TERMS = BatchLimits(unusual_factor=5, unusual_share_percent=50, new_account_cents=5000, new_account_days=7)


async def propose(ledger: LedgerFixture, terms: BatchLimits = TERMS) -> BatchSummary:
    """Plan a batch under these terms."""
    return await ledger.database.write(proposals.propose, actor="cli", now=ledger.clock(), expires_at=None, terms=terms)


async def weeks(ledger: LedgerFixture, *totals_cents: int) -> None:
    """Pay a batch of so much to two old members, for each."""
    for cents in totals_cents:
        await ledger.earn_all([(1, cents // 2), (2, cents - cents // 2)])
        await ledger.pay()


async def test_total_over_five_times_the_median_is_flagged(ledger: LedgerFixture) -> None:
    await weeks(ledger, 100, 10_000, 200, 300)
    await ledger.earn_all([(1, 625), (2, 625)])
    assert (await propose(ledger)).unusual == ()
    await ledger.earn(1, 1)
    assert (await propose(ledger)).unusual == (
        "The total of $12.51 is more than 5 times the median of the last 4 batches, $2.50.",
    )


async def test_two_past_batches_flag_nothing(ledger: LedgerFixture) -> None:
    await weeks(ledger, 100, 100)
    await ledger.earn_all([(1, 50_000), (2, 50_000)])
    assert (await propose(ledger)).unusual == ()


async def test_share_over_half_of_three_is_flagged(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 900), (2, 10)])
    assert (await propose(ledger)).unusual == ()
    await ledger.earn(3, 1)
    assert (await propose(ledger)).unusual == ("Member 1 takes 98% of it, $9.00; more than 50% is flagged.",)


async def test_high_earnings_of_new_accounts_are_flagged(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 2000), (2, 2000)])
    assert (await propose(ledger)).unusual == (), "in a new ledger everybody is new"
    clock.advance(timedelta(days=8).total_seconds())
    await ledger.earn_all([(3, 2500), (4, 2499)])
    assert (await propose(ledger)).unusual == ()
    await ledger.earn(4, 1)
    assert (await propose(ledger)).unusual == ("2 accounts take $50.00 of it and are known here for less than 7 days.",)


@pytest.mark.parametrize("gate", [True, False])
async def test_gate_requires_a_second_admin(ledger: LedgerFixture, *, gate: bool) -> None:
    await ledger.earn_all([(1, 900), (2, 10), (3, 1)])
    summary = await propose(ledger, BatchLimits(unusual_share_percent=50, gate_unusual=gate))
    assert summary.needs_second_approver == ("A flagged batch needs two admins." if gate else None)
    usual = await propose(ledger, BatchLimits(gate_unusual=gate))
    assert usual.needs_second_approver is None
