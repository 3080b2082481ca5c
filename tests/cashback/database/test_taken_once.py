"""Of the same cashback at most what was paid is taken back, whichever way and in whichever order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.payouts import reversals
from cashback.database.referral_program import blacklist
from cashback.database.referral_program.pending import held_and_owed
from cashback.database.referral_program.purchases import Purchase, log_purchase, record_purchases
from cashback.database.referral_program.refunds import RecordedRefund, Refund, record_refund
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchLimits, Reversal
from tests.conftest import ALL_OF_IT_PPM, Clock, LedgerFixture, raw

pytestmark = pytest.mark.anyio


async def refund(ledger: LedgerFixture, order: int, cents: int | None = None) -> RecordedRefund:
    """Refund the n-th purchase of the test, in all or in part."""
    return await ledger.database.write(
        record_refund, Refund(order_id=f"order-{order}", amount_cents=cents), actor="cli", now=ledger.clock()
    )


async def reverse(ledger: LedgerFixture, batch: int, referrer: int | None = 1) -> tuple[int, int]:
    """Reverse a payout, or a whole batch; return what the wallets held and did not hold."""
    number = (await propose_reversal(ledger, batch, referrer)).number
    done = await ledger.database.write(reversals.approve, number, actor="cli", now=ledger.clock())
    return done.reversed_cents, done.shortfall_cents


async def propose_reversal(
    ledger: LedgerFixture, batch: int, referrer: int | None = 1, *, threshold_cents: int | None = None
) -> Reversal:
    """Ask to reverse a payout, or a whole batch."""
    now = ledger.clock()
    return await ledger.database.write(
        reversals.propose,
        batch_number=batch,
        referrer_id=referrer,
        reason="a stolen card",
        actor="cli",
        now=now,
        expires_at=now + timedelta(minutes=2),
        terms=BatchLimits(approval_threshold_cents=threshold_cents),
    )


async def stands(ledger: LedgerFixture) -> tuple[int, int, int]:
    """Return what referrer 1 owes, has pending, and has in the wallet."""
    sums = await ledger.database.read(held_and_owed, ledger.clock(), referrer_id=1)
    return sums["owed_cents"], await ledger.pending(1), ledger.balance(1)


@pytest.fixture(autouse=True)
async def shared(ledger: LedgerFixture) -> None:
    """Let the shop's bot write into the wallets too."""
    await ledger.database.share("the shop's bot")


def spend(ledger: LedgerFixture, cents: int) -> None:
    """Let the member spend so much of the wallet at another bot's shop."""
    with raw(ledger.location) as connection:
        connection.execute(
            "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
            " SELECT discord_id, -?, wallet_balance_cents - ?, 'purchase' FROM users WHERE discord_id = 1",
            [cents, cents],
        )
        connection.execute(
            "UPDATE users SET wallet_balance_cents = wallet_balance_cents - ? WHERE discord_id = 1", [cents]
        )


@pytest.mark.parametrize("order", ["reversal first", "refund first"])
async def test_reversal_and_refund_of_one_purchase_take_its_cashback_once(ledger: LedgerFixture, order: str) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    if order == "reversal first":
        assert await reverse(ledger, batch) == (200, 0)
        await refund(ledger, 1)
    else:
        await refund(ledger, 1)
        assert await reverse(ledger, batch) == (200, 0)
    assert await stands(ledger) == (0, 0, 0)
    await ledger.buy([(buyer, 200)])
    assert await stands(ledger) == (0, 200, 0)
    assert (await ledger.pay()).total_cents == 200
    assert await stands(ledger) == (0, 0, 200)


async def test_refund_after_a_partial_reversal_leaves_the_rest_owed(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    spend(ledger, 150)
    assert await reverse(ledger, batch) == (50, 150)
    await refund(ledger, 1)
    assert await stands(ledger) == (150, 0, 0)
    await ledger.buy([(buyer, 180)])
    assert await stands(ledger) == (0, 30, 0)


async def test_what_a_reversal_took_before_a_refund_is_not_charged_to_another_payout(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    first = (await ledger.pay()).batch_number
    await ledger.buy([(buyer, 200)])
    second = (await ledger.pay()).batch_number
    spend(ledger, 350)
    assert await reverse(ledger, first) == (50, 150)
    await refund(ledger, 1)
    assert await stands(ledger) == (150, 0, 0)
    await ledger.buy([(buyer, 150)])
    spend(ledger, -200)
    assert await stands(ledger) == (0, 0, 200)
    assert await reverse(ledger, second) == (200, 0)


async def test_debt_that_later_earnings_recovered_is_not_reversed_again(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    await refund(ledger, 1)
    assert (await stands(ledger))[0] == 200
    await ledger.buy([(buyer, 200)])
    assert await stands(ledger) == (0, 0, 200)
    with pytest.raises(StaleBatchError, match="has no credited payout to member 1 left to reverse"):
        await reverse(ledger, batch)


async def test_debt_that_is_recovered_in_part_is_reversed_for_the_rest(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    await refund(ledger, 1)
    await ledger.buy([(buyer, 120)])
    assert await stands(ledger) == (80, 0, 200)
    assert await reverse(ledger, batch) == (80, 0)
    assert await stands(ledger) == (0, 0, 120)
    await ledger.buy([(buyer, 10)])
    assert await stands(ledger) == (0, 10, 120)


async def test_debt_that_a_held_purchase_would_recover_is_reversed(ledger: LedgerFixture, clock: Clock) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    held = Purchase(order_id="held", buyer_id=buyer, amount_cents=120)
    await ledger.database.write(record_purchases, [held], ALL_OF_IT_PPM, clock(), holding_days=14)
    assert [(await refund(ledger, 1)).owed_cents for _first_or_repeated in range(2)] == [200, 200]
    assert await stands(ledger) == (200, 0, 200)
    shown = await propose_reversal(ledger, batch, threshold_cents=200)
    assert (shown.planned_cents, shown.coverable_cents) == (200, 200)
    for actor in (7, 8):
        waits = await ledger.database.read(reversals.find, shown.number, clock())
        assert waits.coverable_cents == 200
        shown = await ledger.database.write(
            reversals.approve, shown.number, actor=f"discord:{actor}", now=clock(), approver_id=actor
        )
        assert shown.coverable_cents == (200 if actor == 7 else 0)
    assert (shown.reversed_cents, shown.shortfall_cents) == (200, 0)
    assert await stands(ledger) == (0, 0, 0)
    clock.advance(timedelta(days=14).total_seconds())
    assert await stands(ledger) == (0, 120, 0)


@pytest.mark.parametrize("order", ["CD", "DC"])
@pytest.mark.parametrize("seconds_between", [0, 1])
async def test_cent_that_a_later_purchase_recovers_is_not_reversed(
    ledger: LedgerFixture, clock: Clock, order: str, seconds_between: int
) -> None:
    """Each purchase earns a cent and a half; four cents are paid for A to C. C is refunded, D recovers a cent."""
    await ledger.database.create_referral(1, 2)
    for name in "ABC":
        clock.advance(seconds_between)
        await ledger.database.write(record_purchases, [of_a_cent_and_a_half(name)], 5_000, clock())
    batch = (await ledger.pay()).batch_number
    for name in order:
        clock.advance(seconds_between)
        if name == "C":
            await ledger.database.write(record_refund, Refund(order_id="C"), actor="cli", now=clock())
        else:
            await ledger.database.write(record_purchases, [of_a_cent_and_a_half("D")], 5_000, clock())
    assert await stands(ledger) == (0, 0, 4)
    assert await reverse(ledger, batch) == (3, 0)


async def test_refund_of_less_than_a_cent_charges_nothing(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    await ledger.database.write(record_purchases, [of_a_cent_and_a_half("A")], 5_000, ledger.clock())
    batch = (await ledger.pay()).batch_number
    half_a_cent = Refund(order_id="A", amount_cents=100)
    assert (await ledger.database.write(record_refund, half_a_cent, actor="cli", now=ledger.clock())).taken_cents == 0
    assert await reverse(ledger, batch) == (1, 0)


def of_a_cent_and_a_half(order_id: str) -> Purchase:
    """Return a purchase of member 2 that earns so much at half a percent."""
    return Purchase(order_id=order_id, buyer_id=2, amount_cents=300)


async def test_pending_purchase_is_untouched_by_the_refund_of_a_reversed_one(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    await ledger.buy([(buyer, 100)])
    assert await reverse(ledger, batch) == (200, 0)
    await refund(ledger, 1)
    assert await stands(ledger) == (0, 100, 0)


async def test_refund_of_a_pending_purchase_gives_nothing_of_a_reversal_back(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    await ledger.buy([(buyer, 100)])
    assert await reverse(ledger, batch) == (200, 0)
    await refund(ledger, 2)
    assert await stands(ledger) == (0, 0, 0)
    await refund(ledger, 1)
    assert await stands(ledger) == (0, 0, 0)


async def test_reversal_takes_from_the_newest_referral_of_each_payout_first(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 70), (2, 30), (1, 50), (1, 80), (2, 40)])
    batch = (await ledger.pay()).batch_number
    spend(ledger, 100)
    assert await reverse(ledger, batch, None) == (170, 100)
    assert returned(ledger) == [0, 30, 20, 80, 40]


async def test_reversal_takes_nothing_of_another_payout_for_the_same_referral(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    first = (await ledger.pay()).batch_number
    await ledger.buy([(buyer, 1)])
    second = (await ledger.pay()).batch_number
    assert await reverse(ledger, second) == (1, 0)
    assert returned(ledger) == [0, 1]
    assert await reverse(ledger, first) == (200, 0)
    assert returned(ledger) == [200, 1]


def returned(ledger: LedgerFixture) -> list[int]:
    """List what each share gave back."""
    query = "SELECT returned_cents FROM cashback_payout_shares ORDER BY batch_number, referral_id"
    return [cents for (cents,) in ledger.rows(query)]


@pytest.mark.parametrize("rate_ppm", [0, 5_000])
async def test_purchase_of_a_blacklisted_referrer_earns_nothing_at_any_rate(
    ledger: LedgerFixture, rate_ppm: int
) -> None:
    [buyer] = await ledger.earn(1, 200)
    await ledger.database.write(blacklist.blacklist, 1, reason=None, actor="cli", now=ledger.clock())
    bought = Purchase(order_id="later", buyer_id=buyer, amount_cents=500)
    assert await ledger.database.write(log_purchase, bought, rate_ppm, ledger.clock()) is None


async def test_member_who_was_never_paid_owes_nothing_after_a_refund(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 200)
    await refund(ledger, 1)
    assert await stands(ledger) == (0, 0, 0)


async def test_partial_refunds_before_and_after_a_reversal_take_it_once(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    await refund(ledger, 1, 80)
    assert await stands(ledger) == (80, 0, 200)
    assert await reverse(ledger, batch) == (200, 0)
    assert await stands(ledger) == (0, 0, 0)
    await refund(ledger, 1)
    assert await stands(ledger) == (0, 0, 0)
    await ledger.buy([(buyer, 60)])
    assert await stands(ledger) == (0, 60, 0)


async def test_debt_is_reversed_if_the_purchase_that_recovered_it_is_refunded_too(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    await refund(ledger, 1)
    await ledger.buy([(buyer, 200)])
    assert await stands(ledger) == (0, 0, 200)
    await refund(ledger, 2)
    assert await stands(ledger) == (200, 0, 200)
    assert await reverse(ledger, batch) == (200, 0)
    assert await stands(ledger) == (0, 0, 0)
    await ledger.buy([(buyer, 150)])
    assert (await ledger.pay()).total_cents == 150
    assert await reverse(ledger, batch + 1) == (150, 0)
    assert await stands(ledger) == (0, 0, 0)


async def test_debt_that_was_recovered_and_refunded_several_times_is_taken_once(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    batch = (await ledger.pay()).batch_number
    await refund(ledger, 1)
    for order in (2, 3, 4):
        await ledger.buy([(buyer, 200)])
        assert await stands(ledger) == (0, 0, 200)
        await refund(ledger, order)
        assert await stands(ledger) == (200, 0, 200)
    await ledger.buy([(buyer, 80)])
    assert await stands(ledger) == (120, 0, 200)
    assert await reverse(ledger, batch) == (120, 0)
    assert await stands(ledger) == (0, 0, 80)


async def test_part_of_the_recovery_that_is_refunded_is_reversed(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    first = (await ledger.pay()).batch_number
    await refund(ledger, 1)
    await ledger.buy([(buyer, 300)])
    assert await stands(ledger) == (0, 100, 200)
    assert (await ledger.pay()).total_cents == 100
    await refund(ledger, 2, 150)
    assert await stands(ledger) == (150, 0, 300)
    assert await reverse(ledger, first) == (150, 0)
    assert await stands(ledger) == (0, 0, 150)


async def test_reversal_of_a_payout_that_was_recovered_takes_nothing_of_the_next(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 200)
    first = (await ledger.pay()).batch_number
    await refund(ledger, 1)
    await ledger.buy([(buyer, 300)])
    second = await ledger.pay()
    assert second.total_cents == 100
    with pytest.raises(StaleBatchError, match="has no credited payout to member 1 left to reverse"):
        await reverse(ledger, first)
    assert await stands(ledger) == (0, 0, 300)
    assert await reverse(ledger, second.batch_number) == (100, 0)
    assert await stands(ledger) == (0, 0, 200)


@pytest.mark.parametrize("seconds_between", [0, 1])
async def test_reversal_of_a_recovered_payout_takes_nothing_of_the_one_before(
    ledger: LedgerFixture, clock: Clock, seconds_between: int
) -> None:
    [buyer] = await ledger.earn(1, 200)
    clock.advance(seconds_between)
    first = (await ledger.pay()).batch_number
    clock.advance(seconds_between)
    await ledger.buy([(buyer, 100)])
    clock.advance(seconds_between)
    second = (await ledger.pay()).batch_number
    await refund(ledger, 2)
    await ledger.buy([(buyer, 100)])
    assert await stands(ledger) == (0, 0, 300)
    with pytest.raises(StaleBatchError, match="has no credited payout to member 1 left to reverse"):
        await reverse(ledger, second)
    assert await reverse(ledger, first) == (200, 0)
    assert await stands(ledger) == (0, 0, 100)


@pytest.mark.parametrize("order", ["reversal first", "refund first"])
async def test_reversal_of_one_payout_settles_no_debt_of_another(ledger: LedgerFixture, order: str) -> None:
    [buyer] = await ledger.earn(1, 200)
    await ledger.pay()
    await ledger.buy([(buyer, 100)])
    second = (await ledger.pay()).batch_number
    if order == "reversal first":
        assert await reverse(ledger, second) == (100, 0)
        await refund(ledger, 1)
    else:
        await refund(ledger, 1)
        assert await reverse(ledger, second) == (100, 0)
    assert await stands(ledger) == (200, 0, 200)
    await ledger.buy([(buyer, 250)])
    assert await stands(ledger) == (0, 50, 200)


async def test_what_a_refund_takes_of_a_recovery_is_owed_by_the_payout_that_was_recovered(
    ledger: LedgerFixture,
) -> None:
    [buyer] = await ledger.earn(1, 100)
    first = (await ledger.pay()).batch_number
    await refund(ledger, 1, 50)
    await ledger.buy([(buyer, 80)])
    assert await stands(ledger) == (0, 30, 100)
    await refund(ledger, 2, 40)
    assert await stands(ledger) == (10, 0, 100)
    assert await reverse(ledger, first) == (60, 0)
    assert await stands(ledger) == (0, 0, 40)


async def test_payout_after_a_recovery_is_reversed_alone(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 100)
    first = (await ledger.pay()).batch_number
    await refund(ledger, 1, 50)
    await ledger.buy([(buyer, 80)])
    second = (await ledger.pay()).batch_number
    assert await stands(ledger) == (0, 0, 130)
    assert await reverse(ledger, first) == (50, 0)
    assert await stands(ledger) == (0, 0, 80)
    assert await reverse(ledger, second) == (30, 0)
    assert await stands(ledger) == (0, 0, 50)


async def test_refund_of_a_held_purchase_before_a_payout_does_not_change_which_payout_paid(
    ledger: LedgerFixture, clock: Clock
) -> None:
    [buyer] = await ledger.earn(1, 200)
    held = Purchase(order_id="held", buyer_id=buyer, amount_cents=100)
    await ledger.database.write(record_purchases, [held], ALL_OF_IT_PPM, clock(), holding_days=14)
    await ledger.database.write(record_refund, Refund(order_id="held"), actor="cli", now=clock())
    clock.advance(1)
    await ledger.pay()
    clock.advance(1)
    await ledger.buy([(buyer, 100)])
    clock.advance(1)
    second = (await ledger.pay()).batch_number
    await refund(ledger, 2)
    await ledger.buy([(buyer, 100)])
    with pytest.raises(StaleBatchError, match="has no credited payout to member 1 left to reverse"):
        await reverse(ledger, second)


async def test_clock_that_was_behind_at_the_plan_takes_nothing_twice(ledger: LedgerFixture, clock: Clock) -> None:
    [buyer] = await ledger.earn(1, 200)
    clock.advance(-60)
    batch = (await ledger.pay()).batch_number
    clock.advance(60)
    assert await reverse(ledger, batch) == (200, 0)
    await refund(ledger, 1)
    assert await stands(ledger) == (0, 0, 0)
    await ledger.buy([(buyer, 70)])
    assert await stands(ledger) == (0, 70, 0)


async def test_clock_that_was_behind_at_the_plan_keeps_the_charge(ledger: LedgerFixture, clock: Clock) -> None:
    [buyer] = await ledger.earn(1, 200)
    clock.advance(-60)
    batch = (await ledger.pay()).batch_number
    clock.advance(60)
    await refund(ledger, 1, 120)
    assert await stands(ledger) == (120, 0, 200)
    await ledger.buy([(buyer, 120)])
    assert await stands(ledger) == (0, 0, 200)
    assert await reverse(ledger, batch) == (80, 0)


async def test_refund_of_what_another_bot_paid_in_part_is_charged_in_whole(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 100)
    await ledger.database.mark_cashback_paid(1, 50)
    batch = (await ledger.pay()).batch_number
    await refund(ledger, 1)
    assert await stands(ledger) == (100, 0, 50)
    await ledger.buy([(buyer, 100)])
    assert await stands(ledger) == (0, 0, 50)
    with pytest.raises(StaleBatchError, match="has no credited payout to member 1 left to reverse"):
        await reverse(ledger, batch)
