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
    till: LedgerFixture,
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
    now = till.clock()
    purchase = Purchase(
        order_id=order_id, buyer_id=buyer, amount_cents=cents, purchased_at=now - timedelta(days=days_ago)
    )
    await till.database.write(
        record_purchases, [purchase], rate_ppm, now, holding_days=holding_days, dates=dates or EarningDates()
    )


async def history(till: LedgerFixture, who: int = BOB) -> dict[str, PurchaseFacts]:
    """Read all purchases of a referrer's referrals, by order."""
    found = await till.database.read(purchases_page, who, till.clock(), limit=100)
    assert len(found) == await till.database.read(count_purchases, who)
    return {each.order_id: each for each in found}


async def states(till: LedgerFixture, who: int = BOB) -> dict[str, PurchaseState]:
    """Read the state of each purchase."""
    return {name: each.state for name, each in (await history(till, who)).items()}


async def state_of(till: LedgerFixture, order_id: str, who: int) -> PurchaseState | None:
    """Look an order up as a member does."""
    found = await till.database.read(orders_named, who, order_id, till.clock())
    assert len(found) <= 1
    return found[0].state if found else None


async def test_history_shows_what_is_paid_pending_and_held_newest_first(till: LedgerFixture, clock: Clock) -> None:
    await till.database.create_referral(BOB, EVE)
    clock.advance(9 * DAY_SECONDS)
    await bought(till, "first", 100, days_ago=3)
    await till.pay()
    await bought(till, "second", 200, days_ago=2)
    await bought(till, "third", 300, days_ago=1, holding_days=14)
    found = await history(till)
    assert list(found) == ["third", "second", "first"]
    assert [each.state for each in found.values()] == ["held", "pending", "paid"]
    assert [each.earned_cents for each in found.values()] == [300, 200, 100]
    assert found["third"].payable_at == clock() + timedelta(days=13)


async def test_payout_covers_the_purchases_before_it_alone(till: LedgerFixture, clock: Clock) -> None:
    await till.earn(BOB, 100)
    await till.pay()
    clock.advance(DAY_SECONDS)
    await bought(till, "later", 50, buyer=900_000)
    assert (await states(till))["later"] == "pending"


async def test_refunds_lower_what_a_purchase_earned(till: LedgerFixture) -> None:
    await till.database.create_referral(BOB, EVE)
    await bought(till, "whole", 100)
    await bought(till, "part", 100)
    await till.database.log_referral_refund("whole", 100)
    await till.database.log_referral_refund("part", 40)
    found = await history(till)
    assert (found["whole"].state, found["whole"].earned_cents) == ("refunded", 0)
    assert (found["part"].state, found["part"].earned_cents) == ("pending", 60)


async def test_less_than_a_cent_is_carried(till: LedgerFixture) -> None:
    await till.database.create_referral(BOB, EVE)
    await bought(till, "small", 10, rate_ppm=ONE_PERCENT_PPM)
    assert await states(till) == {"small": "below_cent"}


async def test_each_reason_of_an_order_that_does_not_count(till: LedgerFixture, clock: Clock) -> None:
    starts = EarningDates(program_starts_at=clock() + timedelta(days=5))
    clock.advance(10 * DAY_SECONDS)
    await bought(till, "unreferred", 100, buyer=ZOE)
    await till.database.create_referral(BOB, EVE)
    await bought(till, "early", 100, days_ago=2)
    await bought(till, "before", 100, days_ago=8, dates=starts)
    await bought(till, "counted", 100)
    assert await state_of(till, "unreferred", ZOE) == "unreferred"
    for who in (BOB, EVE):
        assert await state_of(till, "early", who) == "too_early"
        assert await state_of(till, "before", who) == "not_earning"
        assert await state_of(till, "#counted", who) == "pending"
    assert await states(till) == {"early": "too_early", "counted": "pending"}


async def test_orders_of_a_blacklisted_referrer_and_after_an_unlink_say_so(till: LedgerFixture) -> None:
    await till.database.create_referral(BOB, EVE)
    await bought(till, "before", 100)
    await till.database.write(blacklist.blacklist, BOB, reason=None, actor="cli", now=till.clock())
    await bought(till, "during", 100)
    assert await states(till) == {"before": "blacklisted", "during": "not_earning"}
    await till.database.write(blacklist.unblacklist, BOB, actor="cli", now=till.clock())
    await till.database.write(links.unlink, BOB, EVE, reason=None, actor="cli", now=till.clock())
    await bought(till, "after", 100)
    assert await state_of(till, "after", EVE) == "unlinked"
    assert (await states(till))["before"] == "pending"


async def test_order_of_other_members_is_unknown(till: LedgerFixture) -> None:
    await till.database.create_referral(BOB, EVE)
    await bought(till, "hers", 100)
    for who in (ZOE, 1):
        assert await state_of(till, "hers", who) is None
    assert await state_of(till, "none", EVE) is None


async def test_history_has_pages(till: LedgerFixture) -> None:
    await till.database.create_referral(BOB, EVE)
    for number in range(5):
        await bought(till, f"order-{number}", 100 + number)
    pages = [
        [each.order_id for each in await till.database.read(purchases_page, BOB, till.clock(), limit=2, offset=offset)]
        for offset in (0, 2, 4)
    ]
    assert sorted(each for page in pages for each in page) == [f"order-{number}" for number in range(5)]
