"""What each purchase earned, and why it did not count, as its referrer and its buyer read it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.queries.earnings import (
    PurchaseFacts,
    PurchaseState,
    count_purchases,
    orders_named,
    purchases_page,
)
from cashback.database.referral_program import blacklist, links
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.domain.earning import EarningDates
from tests.conftest import ALL_OF_IT_PPM, Clock, LedgerFixture

pytestmark = pytest.mark.anyio

BOB, EVE, ZOE = 100_000_000_000_000_001, 100_000_000_000_000_002, 100_000_000_000_000_003
ONE_PERCENT_PPM = 10_000
DAY_SECONDS = 86_400


async def bought(
    ledger: LedgerFixture,
    order_id: str,
    cents: int,
    *,
    buyer: int = EVE,
    days_ago: int = 0,
    holding_days: int = 0,
    rate_ppm: int = ALL_OF_IT_PPM,
    dates: EarningDates | None = None,
) -> None:
    """Record a purchase."""
    now = ledger.clock()
    purchase = Purchase(
        order_id=order_id, buyer_id=buyer, amount_cents=cents, purchased_at=now - timedelta(days=days_ago)
    )
    await ledger.database.write(
        record_purchases, [purchase], rate_ppm, now, holding_days=holding_days, dates=dates or EarningDates()
    )


async def history(ledger: LedgerFixture, who: int = BOB) -> dict[str, PurchaseFacts]:
    """Read all purchases of a referrer's referrals, by order."""
    found = await ledger.database.read(purchases_page, who, ledger.clock(), limit=100)
    assert len(found) == await ledger.database.read(count_purchases, who)
    return {each.order_id: each for each in found}


async def states(ledger: LedgerFixture, who: int = BOB) -> dict[str, PurchaseState]:
    """Read the state of each purchase."""
    return {name: each.state for name, each in (await history(ledger, who)).items()}


async def state_of(ledger: LedgerFixture, order_id: str, who: int) -> PurchaseState | None:
    """Look an order up as a member does."""
    found = await ledger.database.read(orders_named, who, order_id, ledger.clock())
    assert len(found) <= 1
    return found[0].state if found else None


async def test_history_shows_what_is_paid_pending_and_held_newest_first(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.database.create_referral(BOB, EVE)
    clock.advance(9 * DAY_SECONDS)
    await bought(ledger, "first", 100, days_ago=3)
    await ledger.pay()
    await bought(ledger, "second", 200, days_ago=2)
    await bought(ledger, "third", 300, days_ago=1, holding_days=14)
    found = await history(ledger)
    assert list(found) == ["third", "second", "first"]
    assert [each.state for each in found.values()] == ["held", "pending", "paid"]
    assert [each.earned_cents for each in found.values()] == [300, 200, 100]
    assert found["third"].payable_at == clock() + timedelta(days=13)


async def test_payout_covers_the_purchases_before_it_alone(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(BOB, 100)
    await ledger.pay()
    clock.advance(DAY_SECONDS)
    await bought(ledger, "later", 50, buyer=900_000)
    assert (await states(ledger))["later"] == "pending"


async def test_refunds_lower_what_a_purchase_earned(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(BOB, EVE)
    await bought(ledger, "whole", 100)
    await bought(ledger, "part", 100)
    await ledger.database.log_referral_refund("whole", 100)
    await ledger.database.log_referral_refund("part", 40)
    found = await history(ledger)
    assert (found["whole"].state, found["whole"].earned_cents) == ("refunded", 0)
    assert (found["part"].state, found["part"].earned_cents) == ("pending", 60)


async def test_less_than_a_cent_is_carried(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(BOB, EVE)
    await bought(ledger, "small", 10, rate_ppm=ONE_PERCENT_PPM)
    assert await states(ledger) == {"small": "below_cent"}


async def test_each_reason_of_an_order_that_does_not_count(ledger: LedgerFixture, clock: Clock) -> None:
    starts = EarningDates(program_starts_at=clock() + timedelta(days=5))
    clock.advance(10 * DAY_SECONDS)
    await bought(ledger, "unreferred", 100, buyer=ZOE)
    await ledger.database.create_referral(BOB, EVE)
    await bought(ledger, "early", 100, days_ago=2)
    await bought(ledger, "before", 100, days_ago=8, dates=starts)
    await bought(ledger, "counted", 100)
    assert await state_of(ledger, "unreferred", ZOE) == "unreferred"
    for who in (BOB, EVE):
        assert await state_of(ledger, "early", who) == "too_early"
        assert await state_of(ledger, "before", who) == "not_earning"
        assert await state_of(ledger, "#counted", who) == "pending"
    assert await states(ledger) == {"early": "too_early", "counted": "pending"}


async def test_orders_of_a_blacklisted_referrer_and_after_an_unlink_say_so(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(BOB, EVE)
    await bought(ledger, "before", 100)
    await ledger.database.write(blacklist.blacklist, BOB, reason=None, actor="cli", now=ledger.clock())
    await bought(ledger, "during", 100)
    assert await states(ledger) == {"before": "blacklisted", "during": "not_earning"}
    await ledger.database.write(blacklist.unblacklist, BOB, actor="cli", now=ledger.clock())
    await ledger.database.write(links.unlink, BOB, EVE, reason=None, actor="cli", now=ledger.clock())
    await bought(ledger, "after", 100)
    assert await state_of(ledger, "after", EVE) == "unlinked"
    assert (await states(ledger))["before"] == "pending"


async def test_order_of_other_members_is_unknown(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(BOB, EVE)
    await bought(ledger, "hers", 100)
    for who in (ZOE, 1):
        assert await state_of(ledger, "hers", who) is None
    assert await state_of(ledger, "none", EVE) is None


async def test_history_has_pages(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(BOB, EVE)
    for number in range(5):
        await bought(ledger, f"order-{number}", 100 + number)
    pages = [
        [
            each.order_id
            for each in await ledger.database.read(purchases_page, BOB, ledger.clock(), limit=2, offset=offset)
        ]
        for offset in (0, 2, 4)
    ]
    assert sorted(each for page in pages for each in page) == [f"order-{number}" for number in range(5)]
