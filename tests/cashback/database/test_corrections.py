"""Orders that an admin corrects: entries are added, the purchase's row stays, and the cents are the right order's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cashback.database.integrity import reconciliation
from cashback.database.queries.orders import find_orders
from cashback.database.referral_program import corrections
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, record_purchases
from cashback.database.referral_program.refunds import Refund
from cashback.database.referral_program.shop_refunds import receive_refund
from cashback.domain.errors import OrderRefusedError
from cashback.domain.orders import OrderFacts, why_not_paid
from tests.conftest import FRIDAY, LedgerFixture

pytestmark = pytest.mark.anyio

WHY: dict[str, Any] = {"source": "main", "reason": "a ticket", "actor": "cli"}


@pytest.fixture
async def bought(ledger: LedgerFixture) -> LedgerFixture:
    """Let 1 refer 2 and 5 refer 6; 2 buys A for $200."""
    await ledger.database.create_referral(1, 2)
    await ledger.database.create_referral(5, 6)
    await ledger.database.log_referral_purchase(2, "A", 20_000)
    return ledger


async def reassign(ledger: LedgerFixture, member_id: int, order_id: str = "A") -> None:
    await ledger.database.write(corrections.reassign, order_id, member_id, now=ledger.clock(), rate_ppm=5_000, **WHY)


async def amount(ledger: LedgerFixture, cents: int) -> None:
    await ledger.database.write(corrections.correct_amount, "A", cents, now=ledger.clock(), **WHY)


async def refund(ledger: LedgerFixture, cents: int | None = None, *, is_in_all: bool = False) -> int:
    refund_id = None if is_in_all else f"R{cents}"
    wanted = Refund(order_id="A", amount_cents=cents, refund_id=refund_id, is_in_all=is_in_all)
    return (await ledger.database.write(receive_refund, wanted, actor="s", now=ledger.clock())).amount_cents


async def pending(ledger: LedgerFixture) -> tuple[int, int]:
    """Return what is pending of both referrers, if the books balance."""
    assert (await ledger.database.read(reconciliation.verify)).breaches == ()
    return await ledger.pending(1), await ledger.pending(5)


async def shown(ledger: LedgerFixture) -> OrderFacts:
    [facts] = await ledger.database.read(find_orders, "#A", ledger.clock())
    return facts


async def test_reassigned_order_earns_for_the_right_referrer_only(bought: LedgerFixture) -> None:
    before = bought.rows("SELECT * FROM cashback_referral_purchases")
    await refund(bought, 4_000)
    await reassign(bought, 6)
    assert await pending(bought) == (0, 80)
    facts = await shown(bought)
    assert (facts.buyer_id, facts.amount_cents, facts.refunded_cents) == (6, 20_000, 4_000)
    assert await refund(bought, 6_000) == 6_000
    assert await pending(bought) == (0, 50)
    await reassign(bought, 2)
    assert await pending(bought) == (50, 0)
    assert await refund(bought, None) == 10_000
    assert await pending(bought) == (0, 0)
    with pytest.raises(OrderRefusedError, match="Nothing is left of order A"):
        await reassign(bought, 6)
    [first] = bought.rows("SELECT * FROM cashback_referral_purchases WHERE order_id = 'A'")
    assert [one for one, other in zip(first, before[0], strict=True) if one != other] == [20_000]
    entries = bought.rows("SELECT actor, details FROM cashback_audit_log WHERE action = 'order_corrected' ORDER BY id")
    assert [json.loads(details)["buyer_id"] for _, details in entries] == [6, 2]
    refunds = bought.rows("SELECT actor FROM cashback_audit_log WHERE action = 'purchase_refunded'")
    assert refunds == [("s",)] * 3, "what a correction moves is no refund of a shop"


@pytest.mark.parametrize("cents", [0, 1, 12_345, 19_999, 20_001, 50_000])
async def test_corrected_amount_earns_as_if_it_had_been_right(bought: LedgerFixture, cents: int) -> None:
    await amount(bought, cents)
    assert await pending(bought) == (cents * 5 // 1_000, 0)
    assert (await shown(bought)).amount_cents == cents
    await amount(bought, 20_000)
    assert await pending(bought) == (100, 0)
    assert await refund(bought, None, is_in_all=True) == 20_000
    assert await pending(bought) == (0, 0)


async def test_refund_is_of_its_order_and_not_of_another_that_was_corrected(bought: LedgerFixture) -> None:
    await bought.database.log_referral_purchase(2, "B", 10_000)
    await reassign(bought, 6, "B")
    await amount(bought, 30_000)
    assert await refund(bought, None) == 30_000
    assert await pending(bought) == (0, 50)


async def test_wrong_corrections_are_refused_and_change_nothing(bought: LedgerFixture) -> None:
    await refund(bought, 5_000)
    before = bought.rows("SELECT count(*) FROM cashback_audit_log")
    for act in (
        amount(bought, 20_000),
        amount(bought, 4_999),
        reassign(bought, 2),
        reassign(bought, 6, "Z"),
    ):
        with pytest.raises(OrderRefusedError):
            await act
    assert bought.rows("SELECT count(*) FROM cashback_audit_log") == before
    assert bought.rows("SELECT count(*) FROM cashback_order_corrections") == [(0,)]
    assert await pending(bought) == (75, 0)


async def test_corrected_order_is_known_with_its_old_and_its_new_facts(bought: LedgerFixture) -> None:
    await reassign(bought, 6)
    await amount(bought, 30_000)
    outcomes = {}
    for facts in ((2, 20_000), (6, 30_000), (6, 20_000), (2, 30_000)):
        [recorded] = await bought.database.write(record_purchases, [Purchase("#A", *facts)], 5_000, FRIDAY)
        outcomes[facts] = recorded.outcome
    conflicting = PurchaseOutcome.CONFLICTING
    assert outcomes == {
        (2, 20_000): "repeated",
        (6, 30_000): "repeated",
        (6, 20_000): conflicting,
        (2, 30_000): conflicting,
    }
    assert await pending(bought) == (0, 150)


async def test_paid_order_that_is_reassigned_is_owed_by_the_wrong_referrer(bought: LedgerFixture) -> None:
    report = await bought.pay()
    await reassign(bought, 6)
    assert await pending(bought) == (0, 100)
    await bought.database.log_referral_purchase(2, "B", 20_000)
    assert await pending(bought) == (0, 100)
    facts = await shown(bought)
    assert [part.paid for part in facts.parts] == [(), ()]
    [other] = await bought.database.read(find_orders, "B", FRIDAY)
    assert other.parts[0].paid == ((report.batch_id, 100),)


async def test_order_shows_in_which_batch_it_was_paid(bought: LedgerFixture) -> None:
    first = await bought.pay()
    await bought.database.log_referral_purchase(2, "B", 10_000)
    second = await bought.pay()
    for order_id, report, cents in (("A", first, 100), ("B", second, 50)):
        [facts] = await bought.database.read(find_orders, order_id, FRIDAY)
        assert facts.parts[0].paid == ((report.batch_id, cents),)
        assert why_not_paid(facts, FRIDAY) == []


async def test_order_shows_why_it_is_not_paid(bought: LedgerFixture) -> None:
    assert why_not_paid(await shown(bought), FRIDAY) == ["$1.00 are pending: the next batch pays them."]
    await bought.database.blacklist_referral_user(1)
    assert why_not_paid(await shown(bought), FRIDAY) == ["The referrer 1 is blacklisted."]
    held = [Purchase("H", 6, 20_000)]
    await bought.database.write(record_purchases, held, 5_000, FRIDAY, holding_days=7)
    [facts] = await bought.database.read(find_orders, "H", FRIDAY)
    assert why_not_paid(facts, FRIDAY) == ["$1.00 are in the holding period until 2026-07-10 15:00 UTC."]
    assert (facts.parts[0].held_cents, facts.parts[0].pending_cents) == (100, 0)
    early = [Purchase("E", 6, 20_000, FRIDAY - timedelta(days=1)), Purchase("N", 9, 20_000)]
    await bought.database.write(record_purchases, early, 5_000, FRIDAY)
    reasons = [
        why_not_paid(facts, FRIDAY)
        for each in ("E", "N")
        for facts in await bought.database.read(find_orders, each, FRIDAY)
    ]
    assert reasons == [
        ["It was bought before the buyer's referral, or before the program started."],
        ["The buyer has no referrer."],
    ]
    assert await bought.database.read(find_orders, "Z", FRIDAY) == []
