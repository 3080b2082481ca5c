"""What is earned depends on the dates of purchases and referrals, not on the order in which they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashback.database import Database
from cashback.database.integrity import reconciliation
from cashback.database.payouts import proposals
from cashback.database.referral_program import refunds
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, record_purchases
from cashback.database.referral_program.referrals import create_referrals
from cashback.database.referral_program.shop_refunds import receive_refunds
from cashback.database.referral_program.unmatched import UnmatchedPurchase, assign, record_unmatched
from cashback.database.referral_program.waiting import count_waiting
from cashback.domain.earning import EarningDates, Origin
from cashback.domain.errors import RefundRefusedError
from tests.conftest import FRIDAY, Clock, LedgerFixture, drop_guards, raw
from tests.examples import examples

pytestmark = pytest.mark.anyio

RATE_PPM = 5_700
BUYERS = [10, 11, 12]
DAY = timedelta(days=1)

Bought = tuple[int, int, int]
"""Buyer, cents, days ago."""

bought = st.lists(st.tuples(st.sampled_from(BUYERS), st.integers(0, 10**6), st.integers(0, 9)), max_size=8)
referred = st.dictionaries(st.sampled_from(BUYERS), st.integers(0, 9), max_size=3)
before = st.sampled_from([0, 2])


def _by_hand(purchases: Sequence[Bought], days: dict[int, int], earn_before: int) -> dict[int, int]:
    """Return each referral's earnings in millionths of a cent."""
    earned = dict.fromkeys(days, 0)
    for buyer, cents, ago in purchases:
        if buyer in days and ago <= days[buyer] + earn_before:
            earned[buyer] += cents * RATE_PPM
    return earned


async def _arrive(path: Path, steps: Sequence[tuple[str, Sequence[int]]], facts: tuple[object, ...]) -> dict[int, int]:
    purchases, days, earn_before = facts
    assert isinstance(purchases, list)
    assert isinstance(days, dict)
    assert isinstance(earn_before, int)
    dates = EarningDates(earn_before_referral_days=earn_before)
    async with Database(path, clock=Clock(), inline=True) as database:
        for kind, which in steps:
            if kind == "referrals":
                pairs = [(1, buyer) for buyer in days]
                moments = [FRIDAY - days[buyer] * DAY for buyer in days]
                await database.write(create_referrals, pairs, FRIDAY, referred_at=moments, dates=dates)
            else:
                some = [
                    Purchase(str(n), purchases[n][0], purchases[n][1], FRIDAY - purchases[n][2] * DAY) for n in which
                ]
                await database.write(record_purchases, some, RATE_PPM, FRIDAY, dates=dates)
        return {
            one["referred_user_id"]: one["cashback_earned_cents"] * 10**6 + one["cashback_carry_ppm"]
            for one in await database.get_referrals(1)
        }


@settings(max_examples=examples(15), deadline=None)
@given(bought, referred, before, st.integers(0, 8))
def test_any_order_of_arrival_earns_the_same(
    new_ledger: Path, purchases: list[Bought], days: dict[int, int], earn_before: int, cut: int
) -> None:
    everything = list(range(len(purchases)))
    halves = ("purchases", everything[:cut]), ("purchases", everything[cut:])
    whole, links = ("purchases", everything), ("referrals", everything)
    orders = [[whole, links], [links, whole], [halves[0], links, halves[1]], [whole, links, whole, links]]
    expected = _by_hand(purchases, days, earn_before)
    for steps in orders:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.db"
            copyfile(new_ledger, path)
            assert anyio.run(_arrive, path, steps, (purchases, days, earn_before)) == expected


refunded = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 10**6)), max_size=4)


@settings(max_examples=examples(15), deadline=None)
@given(bought, referred, refunded, st.permutations(["purchases", "guests", "referrals", "refunds", "refunds"]))
def test_refunds_and_guests_may_arrive_in_any_order_too(
    new_ledger: Path,
    purchases: list[Bought],
    days: dict[int, int],
    refunds_of: list[tuple[int, int]],
    steps: list[str],
) -> None:
    """Every second purchase is a guest's, who is known last; each refund is reported twice."""
    by_order: dict[int, int] = {}
    for order, cents in refunds_of:
        by_order[order] = by_order.get(order, 0) + cents
    kept = [
        (buyer, cents - min(by_order.get(order, 0), cents), ago) for order, (buyer, cents, ago) in enumerate(purchases)
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        copyfile(new_ledger, path)
        found = anyio.run(_arrive_with_refunds, path, steps, (purchases, days, refunds_of))
    assert found == _by_hand(kept, days, 0)


async def _arrive_with_refunds(path: Path, steps: Sequence[str], facts: tuple[Any, Any, Any]) -> dict[int, int]:
    purchases, days, refunds_of = facts
    orders = [(str(n), buyer, cents, FRIDAY - ago * DAY) for n, (buyer, cents, ago) in enumerate(purchases)]
    pairs = [(1, buyer) for buyer in days]
    moments = [FRIDAY - days[buyer] * DAY for buyer in days]
    given_back = [
        refunds.Refund(order_id=str(order), amount_cents=cents, refund_id=f"R{n}")
        for n, (order, cents) in enumerate(refunds_of)
    ]
    async with Database(path, clock=Clock(), inline=True) as database:
        for step in steps:
            if step == "referrals":
                await database.write(create_referrals, pairs, FRIDAY, referred_at=moments)
            elif step == "refunds":
                await database.write(receive_refunds, given_back, actor="shop", now=FRIDAY)
            elif step == "purchases":
                some = [Purchase(*order) for order in orders[::2]]
                await database.write(record_purchases, some, RATE_PPM, FRIDAY)
            else:
                guests = [UnmatchedPurchase(order, cents, at) for order, _, cents, at in orders[1::2]]
                await database.write(record_unmatched, guests, RATE_PPM, FRIDAY)
        for order, buyer, _, _ in orders[1::2]:
            await database.write(assign, order, buyer, actor="cli", now=FRIDAY)
        assert (await database.read(reconciliation.verify)).breaches == ()
        return {
            one["referred_user_id"]: one["cashback_earned_cents"] * 10**6 + one["cashback_carry_ppm"]
            for one in await database.get_referrals(1)
        }


async def test_referral_of_another_bot_counts_purchases_at_the_next_proposal(ledger: LedgerFixture) -> None:
    late = Purchase("late", 10, 100_000, FRIDAY - DAY)
    early = Purchase("early", 10, 100_000, FRIDAY - 3 * DAY)
    answers = await ledger.database.write(record_purchases, [late, early], RATE_PPM, FRIDAY)
    assert {answer.outcome for answer in answers} == {PurchaseOutcome.NOBODY_EARNS}
    await ledger.database.ensure_user(1)
    await ledger.database.ensure_user(10)
    moment = (FRIDAY - 2 * DAY).strftime("%Y-%m-%d %H:%M:%S")
    with raw(ledger.location) as connection:
        insert = "INSERT INTO referrals (referrer_user_id, referred_user_id, created_at) VALUES (1, 10, ?)"
        connection.execute(insert, (moment,))
    summary = await ledger.database.write(proposals.propose, actor="test", now=FRIDAY, expires_at=None)
    assert summary.total_cents == 570
    assert (await ledger.verify()).breaches == ()
    again = await ledger.database.write(proposals.propose, actor="test", now=FRIDAY, expires_at=None)
    assert again.total_cents == 570


async def test_refund_of_a_waiting_purchase_is_kept(ledger: LedgerFixture) -> None:
    await ledger.database.write(record_purchases, [Purchase("A", 10, 100_000, FRIDAY - DAY)], RATE_PPM, FRIDAY)
    await ledger.database.log_referral_refund("A", 40_000, "R1")
    await ledger.database.write(create_referrals, [(1, 10)], FRIDAY, referred_at=[FRIDAY - 2 * DAY])
    assert await ledger.pending(1) == 342
    assert (await ledger.verify()).breaches == ()


async def test_purchases_of_an_unlinked_member_never_count(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 10)
    with raw(ledger.location) as connection:
        connection.execute("UPDATE referrals SET cashback_unlinked_at = created_at")
    await ledger.database.write(record_purchases, [Purchase("A", 10, 100_000, FRIDAY)], RATE_PPM, FRIDAY)
    with raw(ledger.location) as connection:
        connection.execute("UPDATE referrals SET cashback_unlinked_at = NULL")
    assert await ledger.database.write(count_waiting) == 0


async def test_nothing_earns_before_the_program_starts(ledger: LedgerFixture) -> None:
    dates = EarningDates(program_starts_at=FRIDAY - DAY)
    await ledger.database.write(create_referrals, [(1, 10)], FRIDAY, referred_at=[FRIDAY - 9 * DAY])
    orders = [Purchase("A", 10, 100_000, FRIDAY - 2 * DAY), Purchase("B", 10, 100_000, FRIDAY - DAY)]
    answers = await ledger.database.write(record_purchases, orders, RATE_PPM, FRIDAY, dates=dates)
    assert [answer.outcome for answer in answers] == [PurchaseOutcome.NOBODY_EARNS, PurchaseOutcome.EARNED]
    assert await ledger.pending(1) == 570
    assert (await ledger.verify()).breaches == ()


async def test_order_of_one_shop_is_not_that_of_another(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 10)
    other = Origin(source="b")
    for origin in (Origin(), other):
        for order_id in ("1001", "#1001", " 1001 "):
            await ledger.database.write(
                record_purchases, [Purchase(order_id, 10, 100_000)], RATE_PPM, FRIDAY, origin=origin
            )
    assert await ledger.pending(1) == 2 * 570
    await ledger.database.write(record_purchases, [Purchase("7", 10, 100_000)], RATE_PPM, FRIDAY)
    seven = refunds.Refund(order_id="7", refund_id="R")
    with pytest.raises(RefundRefusedError, match="Order 7 is not known"):
        await ledger.database.write(refunds.record_refund, seven, actor="b", now=FRIDAY, origin=other)
    both = refunds.Refund(order_id="#1001", refund_id="R")
    for origin in (Origin(), other):
        recorded = await ledger.database.write(refunds.record_refund, both, actor="b", now=FRIDAY, origin=origin)
        assert recorded.taken_cents == 570
    assert await ledger.pending(1) == 570
    assert (await ledger.verify()).breaches == ()


async def test_orders_of_earlier_versions_keep_their_mark(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 10)
    await ledger.database.log_referral_purchase(10, "1001", 100_000)
    drop_guards(ledger.location)
    with raw(ledger.location) as connection:
        connection.execute("UPDATE cashback_referral_purchases SET order_id = '#1001'")
    again = await ledger.database.record_purchases([Purchase("1001", 10, 100_000), Purchase("#1001", 10, 5)])
    assert [answer.outcome for answer in again] == [PurchaseOutcome.REPEATED, PurchaseOutcome.CONFLICTING]
    assert await ledger.database.log_referral_refund("1001") == 500
