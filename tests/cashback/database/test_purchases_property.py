"""What purchases earn, held against exact fractions, whatever their amounts and however they are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashback.database import Database
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.referrals import create_referrals
from tests.conftest import FRIDAY, Clock, LedgerFixture
from tests.examples import examples

REFERRERS = {10: 1, 11: 1, 12: 2}
BUYERS = [*REFERRERS, 13]

Order = tuple[int, int, int, int]

orders = st.tuples(
    st.integers(0, 12),
    st.sampled_from(BUYERS),
    st.integers(0, 10**6) | st.just(10**12),
    st.sampled_from([1, 5_000, 5_700]),
)


async def _record(path: Path, calls: Sequence[Sequence[Order]]) -> dict[int, tuple[int, int]]:
    """Record purchases call by call; return each buyer's spend and earned cents as they are stored."""
    async with Database(path, clock=Clock(), inline=True) as database:
        await database.write(create_referrals, [(referrer, buyer) for buyer, referrer in REFERRERS.items()], FRIDAY)
        for call in calls:
            rates = {rate for *_, rate in call}
            for rate in rates:
                purchases = [
                    Purchase(order_id=str(order), buyer_id=buyer, amount_cents=cents)
                    for order, buyer, cents, its_rate in call
                    if its_rate == rate
                ]
                await database.write(record_purchases, purchases, rate, FRIDAY)
        return {
            one["referred_user_id"]: (one["referred_total_spend_cents"], one["cashback_earned_cents"])
            for referrer in (1, 2)
            for one in await database.get_referrals(referrer)
        }


def _by_fractions(recorded: Sequence[Order]) -> dict[int, tuple[int, int]]:
    spend = dict.fromkeys(REFERRERS, 0)
    earned = dict.fromkeys(REFERRERS, Fraction(0))
    known = set()
    for order, buyer, cents, rate in recorded:
        if order not in known and buyer in REFERRERS:
            spend[buyer] += cents
            earned[buyer] += cents * Fraction(rate, 1_000_000)
        known.add(order)
    return {buyer: (spend[buyer], floor(earned[buyer])) for buyer in REFERRERS}


@settings(max_examples=examples(60), deadline=None)
@given(recorded=st.lists(orders, max_size=20), cuts=st.sets(st.integers(0, 20)))
def test_purchases_in_any_split_earn_the_exact_fraction(
    new_ledger: Path, recorded: list[Order], cuts: set[int]
) -> None:
    bounds = [0, *sorted(cuts), len(recorded)]
    calls = [recorded[start:end] for start, end in pairwise(bounds)]
    # Within one call the rates are handed in one after the other: the model sees the orders in that order too.
    seen = [order for call in calls for rate in {rate for *_, rate in call} for order in call if order[3] == rate]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cashback.db"
        copyfile(new_ledger, path)
        assert anyio.run(_record, path, calls) == _by_fractions(seen)


@settings(max_examples=examples(25), deadline=None)
@given(amounts=st.lists(st.integers(0, 5_000), min_size=1, max_size=30), rate=st.integers(0, 1_000_000))
def test_fractions_of_a_cent_are_not_lost_or_created(new_ledger: Path, amounts: list[int], rate: int) -> None:
    recorded = [(number, 10, cents, rate) for number, cents in enumerate(amounts)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cashback.db"
        copyfile(new_ledger, path)
        stored = anyio.run(_record, path, [recorded])
    assert stored[10] == (sum(amounts), sum(amounts) * rate // 1_000_000)


@pytest.mark.anyio
async def test_order_id_of_any_text_is_recognized(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    orders = ["\U0001f600", 'a"b\\c', "[1, 2]", "é\t\n", "007", "7", "null", "1e3", "a" * 200]
    for order in orders:
        assert await ledger.database.log_referral_purchase(2, order, 20_000) == 100
    for order in orders:
        assert await ledger.database.log_referral_purchase(2, order, 20_000) is None
    assert await ledger.pending(1) == 900


@pytest.mark.anyio
async def test_hundreds_of_purchases_in_one_call_reach_their_referrals(ledger: LedgerFixture) -> None:
    """So many that some go to the database in hundreds, and the rest one by one. Every third is payable at once."""
    buyers = range(1_000, 1_250)
    rate_ppm, holding = 5_700, timedelta(days=14)
    referred_at = [FRIDAY - holding] * len(buyers)
    await ledger.database.write(create_referrals, [(1, buyer) for buyer in buyers], FRIDAY, referred_at=referred_at)
    bought = [
        Purchase(f"order-{buyer}", buyer, buyer * 77, FRIDAY - holding if buyer % 3 == 0 else None) for buyer in buyers
    ]
    for _ in range(2):
        # The second time every order is known, and nothing is added.
        await ledger.database.write(record_purchases, bought, rate_ppm, FRIDAY, holding_days=holding.days)
    stored = ledger.rows(
        "SELECT referred_user_id, referred_total_spend_cents, cashback_earned_cents, cashback_carry_ppm,"
        " cashback_held_until FROM referrals ORDER BY referred_user_id"
    )
    held_until = f"{FRIDAY + holding:%Y-%m-%d %H:%M:%S.%f}"
    assert stored == [
        (buyer, buyer * 77, *divmod(buyer * 77 * rate_ppm, 1_000_000), None if buyer % 3 == 0 else held_until)
        for buyer in buyers
    ]
