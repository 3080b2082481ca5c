"""How long a referral earns, and up to what in a month; young accounts that earn for one referrer together."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from cashback.database.integrity import reconciliation
from cashback.database.payouts import proposals
from cashback.database.queries.orders import find_orders
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.referrals import create_referrals
from cashback.database.referral_program.refunds import Refund, record_refund
from cashback.domain.earning import EarningDates
from cashback.domain.model import BatchLimits
from cashback.domain.orders import why_not_paid
from cashback.domain.snowflakes import id_at
from tests.conftest import FRIDAY, LedgerFixture

pytestmark = pytest.mark.anyio

CAP = EarningDates(monthly_cap_cents=250)
YEAR = EarningDates(earns_for_days=365)


async def buy(
    ledger: LedgerFixture, order_id: str, dates: EarningDates, *, buyer: int = 2, at: datetime = FRIDAY
) -> int:
    """Record a purchase of $200, which earns half a percent; return what is pending, if the books balance."""
    purchase = Purchase(order_id, buyer, 20_000, at)
    await ledger.database.write(record_purchases, [purchase], 5_000, FRIDAY, dates=dates)
    assert (await ledger.database.read(reconciliation.verify)).breaches == ()
    return await ledger.pending(1)


async def refer(ledger: LedgerFixture, *members: int, since: datetime = FRIDAY - timedelta(days=900)) -> None:
    """Let 1 refer members, since long ago."""
    pairs = [(1, member) for member in members]
    refusals = await ledger.database.write(create_referrals, pairs, FRIDAY, referred_at=[since] * len(pairs))
    assert not any(refusals)


async def test_what_is_above_the_monthly_cap_is_not_earned(ledger: LedgerFixture) -> None:
    await refer(ledger, 2, 3)
    sums = [await buy(ledger, str(number), CAP, buyer=2 + number % 2) for number in range(4)]
    assert sums == [100, 200, 250, 250]
    [facts] = await ledger.database.read(find_orders, "3", FRIDAY, dates=CAP)
    assert why_not_paid(facts, FRIDAY) == ["Its referrer reached the cap of 2026-07; what is above it is not earned."]
    assert await buy(ledger, "june", CAP, at=FRIDAY - timedelta(days=3)) == 350
    refund = Refund(order_id="0", amount_cents=None, refund_id="R")
    await ledger.database.write(record_refund, refund, actor="s", now=FRIDAY)
    assert await ledger.pending(1) == 250
    assert await buy(ledger, "again", CAP) == 350


async def test_cap_holds_for_purchases_of_one_call_and_of_waiting_buyers(ledger: LedgerFixture) -> None:
    bought = [Purchase(str(number), 2, 20_000, FRIDAY) for number in range(5)]
    await ledger.database.write(record_purchases, bought, 5_000, FRIDAY, dates=CAP)
    assert await ledger.pending(1) == 0
    since = [FRIDAY - timedelta(days=1)]
    await ledger.database.write(create_referrals, [(1, 2)], FRIDAY, referred_at=since, dates=CAP)
    assert await ledger.pending(1) == 250
    assert (await ledger.database.read(reconciliation.verify)).breaches == ()


async def test_referral_earns_for_so_many_days(ledger: LedgerFixture) -> None:
    since = FRIDAY - timedelta(days=500)
    await refer(ledger, 2, since=since)
    assert await buy(ledger, "last", YEAR, at=since + timedelta(days=365, seconds=-1)) == 100
    assert await buy(ledger, "late", YEAR, at=since + timedelta(days=365)) == 100
    [facts] = await ledger.database.read(find_orders, "late", FRIDAY, dates=YEAR)
    assert why_not_paid(facts, FRIDAY) == ["Its referral had earned for as many days as a referral does."]
    assert (await ledger.database.get_referral_stats(1))["total_spend_cents"] == 40_000


async def test_young_accounts_that_earn_together_are_flagged(ledger: LedgerFixture) -> None:
    def account(days: float) -> int:
        return id_at(FRIDAY - timedelta(days=days))

    terms = BatchLimits(new_account_cents=5_000, new_account_days=7)
    for referrer, days in ((1, 1.0), (1, 6.9), (2, 2.0), (2, 8.0), (3, 400.0), (3, 401.0)):
        await ledger.database.create_referral(referrer, account(days))
        await ledger.database.log_referral_purchase(account(days), f"{referrer}-{days}", 20_000)
    summary = await ledger.database.write(proposals.propose, actor="cli", now=FRIDAY, expires_at=None, terms=terms)
    assert summary.unusual == ("2 accounts younger than 7 days earn $2.00 together for Member 1.",)
    off = BatchLimits(new_account_cents=None)
    summary = await ledger.database.write(proposals.propose, actor="cli", now=FRIDAY, expires_at=None, terms=off)
    assert summary.unusual == ()
