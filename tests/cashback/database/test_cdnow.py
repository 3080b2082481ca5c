"""Real purchases, tens of thousands of them: every payout to the cent what exact fractions give."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from math import floor
from pathlib import Path

import pytest

from cashback.database.referral_program import referrals
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, record_purchases
from cashback.domain.days import EARLIEST
from cashback.domain.errors import NothingPendingError
from tests.conftest import FRIDAY, LedgerFixture

pytestmark = pytest.mark.anyio

CDNOW = Path(__file__).parents[4] / "shared" / "data" / "cdnow.txt"
RATE_PPM = 5_000
RATE = Fraction(5, 1000)
ROWS_AT_ONCE = 5_000

Row = tuple[int, int, datetime | None]
"""Buyer, cents, moment."""


def cdnow() -> Iterator[Row]:
    """Read the purchases of the music shop."""
    for line in CDNOW.read_text(encoding="ascii").splitlines():
        buyer, date, _items, dollars = line.split()
        moment = datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC)
        yield int(buyer), int(Fraction(dollars) * 100), moment


def made_up() -> Iterator[Row]:
    """Make purchases up that are like those: many buyers once, few very often, zeros, and a long tail."""
    chance = random.Random(19_970_101)
    for _ in range(10_000):
        buyer = min(int(chance.paretovariate(0.6)), 4_000)
        cents = chance.choice([0, 199, 1199, chance.randrange(1, 5_000), int(chance.paretovariate(0.8) * 100)])
        yield buyer, min(cents, 10**9), None


def owed(rows: list[Row]) -> dict[int, int]:
    """Compute by exact fractions what each referrer is owed, to the whole cent for each referral."""
    spent: dict[int, int] = defaultdict(int)
    for buyer, cents, _ in rows:
        spent[buyer] += cents
    earned: dict[int, int] = defaultdict(int)
    for buyer, cents in spent.items():
        if buyer // 10 >= 1:
            earned[buyer // 10] += floor(cents * RATE)
    return {referrer: cents for referrer, cents in earned.items() if cents}


async def record(ledger: LedgerFixture, rows: list[Row]) -> None:
    """Record the referrals, then the purchases; a purchase's order id is its line's number, from 1."""
    buyers = sorted({buyer for buyer, _, _ in rows if buyer // 10 >= 1})
    for some in chunks(buyers):
        pairs = [(buyer // 10, buyer) for buyer in some]
        moments = [EARLIEST] * len(pairs)
        refusals = await ledger.database.write(referrals.create_referrals, pairs, FRIDAY, referred_at=moments)
        assert not any(refusals)
    purchases = [
        Purchase(order_id=str(number), buyer_id=buyer, amount_cents=cents, purchased_at=moment)
        for number, (buyer, cents, moment) in enumerate(rows, start=1)
    ]
    for start in range(0, len(purchases), ROWS_AT_ONCE):
        some_purchases = purchases[start : start + ROWS_AT_ONCE]
        await ledger.database.write(record_purchases, some_purchases, RATE_PPM, FRIDAY)


def chunks(people: list[int]) -> Iterator[list[int]]:
    """Cut a list into pieces that one statement takes."""
    for start in range(0, len(people), ROWS_AT_ONCE):
        yield people[start : start + ROWS_AT_ONCE]


async def check(ledger: LedgerFixture, rows: list[Row]) -> None:
    """Pay everyone, and compare every payout, wallet and mark with the independently computed values."""
    await record(ledger, rows)
    expected = owed(rows)
    report = await ledger.pay()
    assert (report.users_paid, report.total_cents) == (len(expected), sum(expected.values()))
    paid = {
        referrer: cents for referrer, status, cents, _ in ledger.payouts(report.batch_number) if status == "credited"
    }
    assert paid == expected
    wallets = ledger.rows("SELECT discord_id, wallet_balance_cents FROM users WHERE wallet_balance_cents <> 0")
    assert dict(wallets) == expected
    assert ledger.rows("SELECT count(*), sum(amount_cents) FROM cashback_referral_purchases") == [
        (len(rows), sum(cents for _, cents, _ in rows))
    ]
    with pytest.raises(NothingPendingError):
        await ledger.propose()
    verdict = await ledger.verify()
    assert (verdict.breaches, verdict.remarks) == ((), ())
    assert (verdict.payouts_checked, verdict.credited_cents) == (len(expected), sum(expected.values()))
    await record_again(ledger, rows)


async def record_again(ledger: LedgerFixture, rows: list[Row]) -> None:
    """Hand the first purchases in once more: they count once."""
    purchases = [
        Purchase(order_id=str(number), buyer_id=buyer, amount_cents=cents)
        for number, (buyer, cents, _) in enumerate(rows[:ROWS_AT_ONCE], start=1)
    ]
    answers = await ledger.database.write(record_purchases, purchases, RATE_PPM, FRIDAY)
    assert {answer.outcome for answer in answers} == {PurchaseOutcome.REPEATED}
    with pytest.raises(NothingPendingError):
        await ledger.propose()


@pytest.mark.skipif(not CDNOW.exists(), reason=f"the data set {CDNOW.name} is not beside the project")
@pytest.mark.about_a_file("the made-up purchases run on both databases; these are ten times as many")
async def test_cdnow_purchases_are_paid_to_the_cent(ledger: LedgerFixture) -> None:
    rows = list(cdnow())
    assert len(rows) == 69_659
    await check(ledger, rows)


async def test_generated_purchases_are_paid_to_the_cent(ledger: LedgerFixture) -> None:
    await check(ledger, list(made_up()))
