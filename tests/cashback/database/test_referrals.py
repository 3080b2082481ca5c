"""Referrals and purchases through the coroutines of `Database`, as another bot calls them."""

from __future__ import annotations

from datetime import datetime

import pytest

from cashback.database.database import rate_of
from cashback.database.referral_program import referrals
from cashback.database.referral_program.blacklist import unblacklist
from cashback.database.referral_program.people import LARGEST_ID
from cashback.database.referral_program.purchases import (
    LARGEST_PURCHASE_CENTS,
    Purchase,
    PurchaseOutcome,
    record_purchases,
)
from cashback.domain.errors import CashbackError, PurchaseRefusedError, ReferralRefusedError
from tests.conftest import FRIDAY, LedgerFixture

pytestmark = pytest.mark.anyio


async def test_new_referral_is_found_from_both_sides(ledger: LedgerFixture) -> None:
    database = ledger.database
    number = await database.create_referral(1, 2)
    assert isinstance(number, int)
    assert await database.create_referral(1, 3) > number
    assert await database.get_referrer_for_user(2) == 1
    assert await database.get_referrer_for_user(1) is None
    listed = await database.get_referrals(1)
    assert [(one["id"], one["referrer_user_id"], one["referred_user_id"]) for one in listed[:1]] == [(number, 1, 2)]
    assert listed[0]["created_at"] == FRIDAY
    assert await database.get_referrals(2) == []
    assert ledger.rows("SELECT discord_id FROM users ORDER BY 1") == [(1,), (2,), (3,)]


async def test_self_referral_is_refused(ledger: LedgerFixture) -> None:
    with pytest.raises(RuntimeError, match=r"^Users cannot refer themselves$") as caught:
        await ledger.database.create_referral(1, 1)
    assert isinstance(caught.value, ReferralRefusedError)
    assert ledger.rows("SELECT * FROM users") == []


@pytest.mark.parametrize("referrer", [1, 3])
async def test_second_referral_is_refused(ledger: LedgerFixture, referrer: int) -> None:
    await ledger.database.create_referral(1, 2)
    with pytest.raises(RuntimeError, match=r"^This user has already been referred by someone$"):
        await ledger.database.create_referral(referrer, 2)
    assert await ledger.database.get_referrer_for_user(2) == 1


@pytest.mark.parametrize("length", [2, 3, 7])
async def test_referral_loop_is_refused(ledger: LedgerFixture, length: int) -> None:
    for member in range(1, length):
        await ledger.database.create_referral(member, member + 1)
    with pytest.raises(RuntimeError, match=rf"^Member {length} was referred by Member 1, .* loop is refused$"):
        await ledger.database.create_referral(length, 1)
    assert await ledger.database.get_referrer_for_user(1) is None


async def test_loops_within_one_call_are_refused(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    pairs = [(2, 3), (3, 1), (5, 6), (4, 5), (6, 4), (6, 7)]
    refusals = await ledger.database.write(referrals.create_referrals, pairs, FRIDAY)
    assert [bool(refusal) for refusal in refusals] == [False, True, False, False, True, False]
    stand = ledger.rows("SELECT referrer_user_id, referred_user_id FROM referrals ORDER BY 2")
    assert stand == [(1, 2), (2, 3), (4, 5), (5, 6), (6, 7)]


@pytest.mark.parametrize("wrong", [0, -1, LARGEST_ID + 1, True, 1.5, "7"])
async def test_invalid_id_is_refused(ledger: LedgerFixture, wrong: int) -> None:
    database = ledger.database
    refused = (
        database.create_referral(wrong, 2),
        database.create_referral(2, wrong),
        database.ensure_user(wrong),
        database.log_referral_purchase(wrong, 1, 100),
        database.blacklist_referral_user(wrong),
    )
    for call in refused:
        with pytest.raises(CashbackError, match="is not a Discord id"):
            await call
    assert ledger.rows("SELECT * FROM users") == []


async def test_largest_id_is_paid(ledger: LedgerFixture) -> None:
    await ledger.earn(LARGEST_ID, 5)
    assert (await ledger.pay()).total_cents == 5
    assert ledger.balance(LARGEST_ID) == 5


async def test_existing_user_row_is_kept(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    await ledger.pay()
    await ledger.database.ensure_user(1)
    assert ledger.balance(1) == 100


async def test_purchase_returns_its_earned_whole_cents(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    assert await ledger.database.log_referral_purchase(2, 1, 20_000) == 100
    assert await ledger.database.log_referral_purchase(2, 2, 199) == 0
    assert await ledger.database.log_referral_purchase(2, 3, 0) == 0
    assert await ledger.database.log_referral_purchase(2, 4, 10_000, cashback_percent=1.5) == 150
    assert await ledger.database.get_referral_stats(1) == {
        "referral_count": 1,
        "total_spend_cents": 30_199,
        "total_earned_cents": 250,
        "total_paid_cents": 0,
        "pending_cents": 250,
    }


async def test_purchase_without_referral_earns_nothing(ledger: LedgerFixture) -> None:
    assert await ledger.database.log_referral_purchase(2, 1, 20_000) is None
    await ledger.database.create_referral(1, 2)
    assert await ledger.database.log_referral_purchase(2, 1, 20_000) is None
    assert await ledger.pending(1) == 0


async def test_order_id_as_number_or_text_counts_once(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    assert await ledger.database.log_referral_purchase(2, 77, 20_000) == 100
    assert await ledger.database.log_referral_purchase(2, "77", 20_000) is None
    assert await ledger.pending(1) == 100


@pytest.mark.parametrize(("buyer", "amount"), [(2, 20_001), (3, 20_000)])
async def test_order_with_other_data_is_refused(ledger: LedgerFixture, buyer: int, amount: int) -> None:
    await ledger.earn_all([])
    await ledger.database.create_referral(1, 2)
    await ledger.database.create_referral(1, 3)
    await ledger.database.log_referral_purchase(2, 77, 20_000)
    with pytest.raises(PurchaseRefusedError, match="Order 77 is known with another buyer or amount"):
        await ledger.database.log_referral_purchase(buyer, 77, amount)
    assert await ledger.pending(1) == 100


@pytest.mark.parametrize("amount", [-1, LARGEST_PURCHASE_CENTS + 1, 1.5, True, "100", None])
async def test_fractional_amount_is_refused(ledger: LedgerFixture, amount: int) -> None:
    await ledger.database.create_referral(1, 2)
    with pytest.raises(PurchaseRefusedError):
        await ledger.database.log_referral_purchase(2, 1, amount)
    assert ledger.rows("SELECT * FROM cashback_referral_purchases") == []


async def test_empty_order_id_is_refused(ledger: LedgerFixture) -> None:
    with pytest.raises(PurchaseRefusedError, match="order id is empty"):
        await ledger.database.log_referral_purchase(2, "", 100)


async def test_sql_injection_in_order_id_is_harmless(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    order = "'; DROP TABLE users; -- \u2603 %s :x ?"
    assert await ledger.database.log_referral_purchase(2, order, 20_000) == 100
    assert ledger.rows("SELECT order_id FROM cashback_referral_purchases") == [(order,)]


async def test_repeated_order_in_one_call_counts_once(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    purchases = [
        Purchase(order_id="a", buyer_id=2, amount_cents=20_000),
        Purchase(order_id="a", buyer_id=2, amount_cents=20_000),
        Purchase(order_id="a", buyer_id=3, amount_cents=20_000),
        Purchase(order_id="b", buyer_id=9, amount_cents=20_000),
    ]
    answers = await ledger.database.write(record_purchases, purchases, 5_000, FRIDAY)
    assert [answer.outcome for answer in answers] == [
        PurchaseOutcome.EARNED,
        PurchaseOutcome.REPEATED,
        PurchaseOutcome.CONFLICTING,
        PurchaseOutcome.NOBODY_EARNS,
    ]
    assert await ledger.pending(1) == 100


async def test_referrals_in_one_call_have_separate_results(ledger: LedgerFixture) -> None:
    pairs = [(1, 2), (1, 1), (3, 2), (3, 4)]
    answers = await ledger.database.write(referrals.create_referrals, pairs, FRIDAY)
    assert answers == [
        None,
        "Users cannot refer themselves",
        "This user has already been referred by someone",
        None,
    ]


async def test_pending_is_listed_largest_first(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    await ledger.earn(2, 300, 50)
    await ledger.earn(3, 100)
    await ledger.database.create_referral(2, 800)
    await ledger.earn(4, 1000)
    await ledger.database.blacklist_referral_user(4)
    assert await ledger.database.get_all_pending_referral_cashbacks() == [
        {"referrer_id": 2, "pending_cents": 350, "referral_count": 2},
        {"referrer_id": 1, "pending_cents": 100, "referral_count": 1},
        {"referrer_id": 3, "pending_cents": 100, "referral_count": 1},
    ]


async def test_pending_of_one_lists_referrals_oldest_first(ledger: LedgerFixture) -> None:
    first, second = await ledger.earn(1, 30, 70)
    assert await ledger.database.get_pending_cashback_for_user(1) == {
        "pending_cents": 100,
        "referral_count": 2,
        "is_blacklisted": False,
        "referral_details": [{"user_id": first, "amount_cents": 30}, {"user_id": second, "amount_cents": 70}],
    }
    assert (await ledger.database.get_pending_cashback_for_user(99))["referral_details"] == []


async def test_blacklisted_referrer_has_and_earns_nothing(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 100)
    assert await ledger.database.blacklist_referral_user(1) is True
    assert await ledger.database.blacklist_referral_user(1) is False
    assert await ledger.database.get_pending_cashback_for_user(1) == {
        "pending_cents": 0,
        "referral_count": 0,
        "is_blacklisted": True,
        "referral_details": [],
    }
    assert (await ledger.database.get_referral_stats(1))["pending_cents"] == 0
    assert await ledger.database.log_referral_purchase(buyer, "more", 20_000) is None
    await ledger.database.create_referral(1, 800)
    assert await ledger.database.log_referral_purchase(800, "new", 20_000) is None


async def test_member_without_referrals_can_be_blacklisted(ledger: LedgerFixture) -> None:
    assert await ledger.database.blacklist_referral_user(1)
    await ledger.database.create_referral(1, 2)
    assert await ledger.database.log_referral_purchase(2, 1, 20_000) is None
    assert await ledger.database.get_all_pending_referral_cashbacks() == []


async def test_unblacklisted_member_regains_pending_cashback(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 100)
    await ledger.database.blacklist_referral_user(1, reason="fraud", actor="discord:5")
    await ledger.database.log_referral_purchase(buyer, "meanwhile", 20_000)
    assert await ledger.database.write(unblacklist, 1, actor="discord:5", now=FRIDAY)
    assert not await ledger.database.write(unblacklist, 1, actor="discord:5", now=FRIDAY)
    assert await ledger.pending(1) == 100
    assert ledger.rows("SELECT actor, action FROM cashback_audit_log") == [
        ("discord:5", "blacklisted"),
        ("discord:5", "unblacklisted"),
    ]


async def test_marking_all_pays_every_referral(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 30, 70)
    await ledger.database.mark_cashback_paid(1, 100)
    assert [
        (one["cashback_earned_cents"], one["cashback_paid_cents"]) for one in await ledger.database.get_referrals(1)
    ] == [
        (30, 30),
        (70, 70),
    ]
    assert (await ledger.database.get_referral_stats(1))["total_paid_cents"] == 100


async def test_marking_a_part_pays_the_oldest_first(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 30, 70, 50)
    await ledger.database.mark_cashback_paid(1, 45)
    assert [one["cashback_paid_cents"] for one in await ledger.database.get_referrals(1)] == [30, 15, 0]
    await ledger.database.mark_cashback_paid(1, 60)
    assert [one["cashback_paid_cents"] for one in await ledger.database.get_referrals(1)] == [30, 70, 5]


@pytest.mark.parametrize("amount", [101, 0, -5])
async def test_marking_more_than_pending_is_refused(ledger: LedgerFixture, amount: int) -> None:
    await ledger.earn(1, 30, 70)
    with pytest.raises(RuntimeError, match="100 cents are pending"):
        await ledger.database.mark_cashback_paid(1, amount)
    assert await ledger.pending(1) == 100


@pytest.mark.parametrize(
    ("percent", "ppm"), [(0.5, 5_000), ("0.57", 5_700), (0, 0), (100, 1_000_000), ("0.0001", 1), (1e-4, 1)]
)
def test_percentage_is_exact(percent: float | str, ppm: int) -> None:
    assert rate_of(percent) == ppm


@pytest.mark.parametrize(
    "percent", [-0.5, 100.0001, "0.00001", "half", "", True, float("nan"), float("inf"), "1e999999"]
)
def test_invalid_percentage_is_refused(percent: float | str) -> None:
    with pytest.raises(CashbackError, match="is not a number from 0 to 100"):
        rate_of(percent)


async def test_a_moment_without_a_time_zone_is_an_error(ledger: LedgerFixture) -> None:
    naive = datetime(2026, 7, 3, 15)  # noqa: DTZ001 -- this is what must fail
    with pytest.raises(Exception, match="has no time zone"):
        await ledger.database.write(referrals.create_referrals, [(1, 2)], naive)
    assert ledger.rows("SELECT * FROM users") == []
