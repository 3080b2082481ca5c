"""Purchases without a member: they wait, are assigned once, and use up nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.integrity import reconciliation
from cashback.database.referral_program import unmatched
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, RecordedPurchase, record_purchases
from cashback.database.referral_program.refunds import Refund
from cashback.database.referral_program.shop_refunds import receive_refund
from cashback.database.referral_program.unmatched import UnmatchedPurchase, Waiting
from cashback.domain.earning import EarningDates, Origin
from cashback.domain.errors import OrderRefusedError
from tests.conftest import FRIDAY, Clock, LedgerFixture

pytestmark = pytest.mark.anyio

HINT, OTHER = "a" * 64, "b" * 64
RATE_PPM = 5_000


@pytest.fixture
async def guest(ledger: LedgerFixture) -> LedgerFixture:
    """Let 1 refer 2, and a guest buy for $200."""
    await ledger.database.create_referral(1, 2)
    assert await wait(ledger, "A", 20_000, hints=(HINT,)) is True
    return ledger


async def wait(
    ledger: LedgerFixture, order_id: str, cents: int, *, hints: tuple[str, ...] = (), source: str = "main"
) -> bool:
    """Record a purchase without a member."""
    purchase = UnmatchedPurchase(order_id, cents, None, hints)
    [is_new] = await ledger.database.write(
        unmatched.record_unmatched, [purchase], RATE_PPM, ledger.clock(), days=30, origin=Origin(source=source)
    )
    return is_new


async def assign(ledger: LedgerFixture, order_id: str, member_id: int = 2, *, source: str = "main") -> RecordedPurchase:
    """Assign an order, as an admin does."""
    return await ledger.database.write(
        unmatched.assign, order_id, member_id, actor="cli", now=ledger.clock(), source=source
    )


async def waiting(ledger: LedgerFixture) -> list[Waiting]:
    """List what waits, if the books balance."""
    assert (await ledger.database.read(reconciliation.verify)).breaches == ()
    return await ledger.database.read(unmatched.waiting, ledger.clock(), limit=10)


async def test_guest_order_waits_and_is_assigned_once(guest: LedgerFixture) -> None:
    [order] = await waiting(guest)
    assert (order.order_id, order.amount_cents, order.waits_until) == ("A", 20_000, FRIDAY + timedelta(days=30))
    assert await guest.pending(1) == 0
    assert (await assign(guest, "#A")).earned_cents == 100
    assert await waiting(guest) == []
    for member_id in (2, 3):
        with pytest.raises(OrderRefusedError, match="Order A is the purchase of member 2 already"):
            await assign(guest, "A", member_id)
    assert await guest.pending(1) == 100
    assert guest.rows("SELECT count(*) FROM cashback_unmatched_hints") == [(0,)]


async def test_guest_order_is_known_when_it_is_read_again(guest: LedgerFixture) -> None:
    assert await wait(guest, " #A ", 20_000) is False
    await assign(guest, "A")
    assert await wait(guest, "A", 20_000) is False
    assert await guest.pending(1) == 100


async def test_order_reported_with_its_buyer_counts_and_waits_no_longer(guest: LedgerFixture) -> None:
    again = Purchase("A", 2, 20_000)
    [recorded] = await guest.database.write(record_purchases, [again], 2 * RATE_PPM, guest.clock())
    assert (recorded.outcome, recorded.earned_cents) == (PurchaseOutcome.EARNED, 100), "the rate of its first day"
    assert await waiting(guest) == []
    with pytest.raises(OrderRefusedError, match="member 2 already"):
        await assign(guest, "A", 3)


async def test_order_that_waited_too_long_is_neither_listed_nor_assigned(guest: LedgerFixture, clock: Clock) -> None:
    clock.advance(30 * 86_400)
    assert await waiting(guest) == []
    with pytest.raises(OrderRefusedError, match="waited for its member until 2026-08-02"):
        await assign(guest, "A")
    assert await guest.database.read(unmatched.hinted, [HINT], clock()) == []
    await wait(guest, "B", 100)
    assert guest.rows("SELECT count(*) FROM cashback_unmatched_hints") == [(0,)]
    assert await guest.database.log_referral_purchase(2, "A", 20_000) == 100
    assert [order.order_id for order in await waiting(guest)] == ["B"]


async def test_shops_keep_their_orders_apart(guest: LedgerFixture) -> None:
    assert await wait(guest, "A", 500, source="second") is True
    with pytest.raises(OrderRefusedError, match="Order B of shop main does not wait for a member"):
        await assign(guest, "B")
    await assign(guest, "A", source="second")
    assert [(order.source, order.order_id) for order in await waiting(guest)] == [("main", "A")]


async def test_orders_are_found_by_their_hints(guest: LedgerFixture) -> None:
    await wait(guest, "B", 100, hints=(HINT, OTHER, OTHER))
    found = {
        hint: [order.order_id for order in await guest.database.read(unmatched.hinted, [hint, hint], guest.clock())]
        for hint in (HINT, OTHER, "c" * 64)
    }
    assert found == {HINT: ["A", "B"], OTHER: ["B"], "c" * 64: []}
    with pytest.raises(ValueError, match="not a keyed hash"):
        await wait(guest, "C", 100, hints=("somebody@shop.example",))


async def test_refund_of_a_waiting_order_is_applied_when_it_is_assigned(guest: LedgerFixture) -> None:
    refund = Refund(order_id="A", amount_cents=5_000, refund_id="R")
    assert (await guest.database.write(receive_refund, refund, actor="s", now=guest.clock())).outcome == "kept"
    assert (await assign(guest, "A")).earned_cents == 100
    assert await guest.pending(1) == 75
    assert await waiting(guest) == []


async def test_assigned_order_earns_by_its_own_day(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    old = UnmatchedPurchase("A", 20_000, FRIDAY - timedelta(days=3))
    await ledger.database.write(unmatched.record_unmatched, [old], RATE_PPM, FRIDAY)
    assert (await assign(ledger, "A")).outcome is PurchaseOutcome.NOBODY_EARNS
    assert await ledger.pending(1) == 0
    older = UnmatchedPurchase("B", 20_000, FRIDAY - timedelta(days=3))
    await ledger.database.write(unmatched.record_unmatched, [older], RATE_PPM, FRIDAY)
    dates = EarningDates(earn_before_referral_days=5)
    await ledger.database.write(unmatched.assign, "B", 2, actor="cli", now=FRIDAY, dates=dates)
    assert await ledger.pending(1) == 100


async def test_reports_of_members_and_guests_are_answered_in_their_order(guest: LedgerFixture) -> None:
    reported: list[Purchase | UnmatchedPurchase] = [
        UnmatchedPurchase("G", 5),
        Purchase("H", 2, 20_000),
        UnmatchedPurchase("A", 20_000),
    ]
    answers = await guest.database.write(unmatched.record_reported, reported, RATE_PPM, guest.clock())
    assert [answer.outcome for answer in answers] == ["waiting", "earned", "repeated"]
