"""Refunds: taken back to the millionth of a cent, once, and never out of a wallet."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cashback.database import Database
from cashback.database.referral_program import corrections
from cashback.database.referral_program.pending import held_and_owed
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.refunds import RecordedRefund, Refund, RefundOutcome, record_refund
from cashback.domain.earning import FROM_MAIN, Origin
from cashback.domain.errors import NothingPendingError, RefundRefusedError
from tests.conftest import FRIDAY, Clock, LedgerFixture, OpenDatabase, raw

pytestmark = pytest.mark.anyio


async def refund(ledger: LedgerFixture, order_id: str, amount_cents: int | None = None, **facts: Any) -> RecordedRefund:  # noqa: ANN401 -- any of a refund's
    """Hand a refund in, as an admin would."""
    wanted = Refund(order_id=order_id, amount_cents=amount_cents, **facts)
    return await ledger.database.write(record_refund, wanted, actor="cli", now=ledger.clock())


async def beside(ledger: LedgerFixture, referrer_id: int | None = None) -> tuple[int, int]:
    """Return what is held and what is owed."""
    sums = await ledger.database.read(held_and_owed, ledger.clock(), referrer_id=referrer_id)
    return sums["held_cents"], sums["owed_cents"]


@pytest.fixture
async def bought(ledger: LedgerFixture) -> LedgerFixture:
    """Record two purchases of member 2, referred by 1: 100 and 50 cents of cashback."""
    await ledger.database.create_referral(1, 2)
    await ledger.database.log_referral_purchase(2, "A", 20_000)
    await ledger.database.log_referral_purchase(2, "B", 10_000)
    return ledger


async def test_refund_before_payout_lowers_pending(bought: LedgerFixture) -> None:
    assert await bought.database.log_referral_refund("A", 5_000, "R1", "torn") == 25
    assert await bought.pending(1) == 125
    stats = await bought.database.get_referral_stats(1)
    assert (stats["total_spend_cents"], stats["total_earned_cents"]) == (25_000, 125)
    assert bought.rows("SELECT amount_cents, refunded_cents FROM cashback_referral_purchases ORDER BY 1") == [
        (10_000, 0),
        (20_000, 5_000),
    ]
    assert (await bought.pay()).total_cents == 125


async def test_refund_without_amount_covers_the_rest_once(bought: LedgerFixture) -> None:
    await refund(bought, "A", 5_000)
    assert (await refund(bought, "A")).amount_cents == 15_000
    assert (await refund(bought, "A")).outcome is RefundOutcome.REPEATED
    assert await bought.pending(1) == 50


async def test_refunds_without_id_are_named_by_order_and_what_was_refunded(bought: LedgerFixture) -> None:
    named = [(await refund(bought, "A", cents)).refund_id for cents in (1, 5_000, 4_999, None)]
    assert named == ["A/0", "A/1", "A/5001", "A/rest"]
    assert await bought.pending(1) == 50


async def test_refunds_of_a_corrected_order_are_named_by_its_own(bought: LedgerFixture) -> None:
    hats = Origin(source="hats")
    for origin, order_id in ((hats, "A"), (FROM_MAIN, "B")):
        bought_too = [Purchase(order_id, 2, 10_000)]
        await bought.database.write(record_purchases, bought_too, 5_000, bought.clock(), origin=origin)
        partly = Refund(order_id=order_id, amount_cents=700)
        await bought.database.write(record_refund, partly, actor="cli", now=bought.clock(), origin=origin)
    why: dict[str, Any] = {"source": "main", "reason": "a ticket", "actor": "cli"}
    await bought.database.write(corrections.correct_amount, "A", 30_000, now=bought.clock(), **why)
    assert [(await refund(bought, "A", cents)).refund_id for cents in (500, 600, None)] == ["A/0", "A/500", "A/rest-1"]


async def test_refusals_of_refunds_give_the_facts_and_the_remedy(bought: LedgerFixture) -> None:
    await refund(bought, "A", 5_000, refund_id="R1")
    await refund(bought, "B")

    async def refusal(order_id: str, cents: Any = None, refund_id: str | None = None) -> str:  # noqa: ANN401 -- also what is no amount
        with pytest.raises(RefundRefusedError) as refused:
            await refund(bought, order_id, cents, refund_id=refund_id)
        return str(refused.value)

    assert await refusal("C") == "Order C is not known; record its purchase first, or check the id."
    assert await refusal("A", 1, "") == "The refund id is empty; give the shop's id of this refund, or none."
    assert await refusal("A", 1, "R1") == (
        "Refund R1 is known with another order or amount ($50.00 of order A); nothing was changed."
    )
    assert await refusal("A", "1") == "The amount '1' is not a whole number of cents."
    assert await refusal("B", 1) == "Nothing is left to refund of order B ($100.00)."
    for cents, amount in ((0, "$0.00"), (15_001, "$150.01")):
        assert await refusal("A", cents) == (
            f"A refund of {amount} is not between $0.01 and what is left of order A: $150.00 of $200.00;"
            " nothing was changed."
        )


async def test_refund_reports_what_its_own_referrer_owes(bought: LedgerFixture) -> None:
    await bought.database.create_referral(5, 6)
    await bought.database.log_referral_purchase(6, "C", 10_000)
    await bought.pay()
    assert [(await refund(bought, order_id)).owed_cents for order_id in "ABC"] == [100, 150, 50]


async def test_repeated_refund_id_counts_once(bought: LedgerFixture) -> None:
    first = await refund(bought, "A", 5_000, refund_id="R1")
    again = await refund(bought, "A", 5_000, refund_id="R1")
    assert (first.outcome, again.outcome) == (RefundOutcome.TAKEN_BACK, RefundOutcome.REPEATED)
    assert await bought.database.log_referral_refund("A", 5_000, "R1") is None
    assert await bought.pending(1) == 125


@pytest.mark.parametrize(("order", "amount"), [("A", 4_999), ("B", 5_000), ("B", None)])
async def test_refund_id_with_other_data_is_refused(bought: LedgerFixture, order: str, amount: int | None) -> None:
    await refund(bought, "A", 5_000, refund_id="R1")
    with pytest.raises(
        RefundRefusedError, match=r"Refund R1 is known with another order or amount \(\$50.00 of order A"
    ):
        await refund(bought, order, amount, refund_id="R1")
    assert await bought.pending(1) == 125


@pytest.mark.parametrize("amount", [0, -1, 20_001, 1.5, True, "100"])
async def test_invalid_or_excessive_refund_is_refused(bought: LedgerFixture, amount: int) -> None:
    before = bought.rows("SELECT * FROM referrals")
    with pytest.raises(RefundRefusedError):
        await refund(bought, "A", amount)
    assert bought.rows("SELECT * FROM cashback_referral_refunds") == []
    assert bought.rows("SELECT * FROM referrals") == before


async def test_refunds_do_not_exceed_the_purchase(bought: LedgerFixture) -> None:
    await refund(bought, "A", 15_000)
    with pytest.raises(RefundRefusedError, match=r"what is left of order A: \$50.00 of \$200.00"):
        await refund(bought, "A", 5_001)
    await refund(bought, "A", 5_000)
    with pytest.raises(RefundRefusedError, match="Nothing is left to refund of order A"):
        await refund(bought, "A", 1)


async def test_refund_of_unknown_order_is_refused(bought: LedgerFixture) -> None:
    with pytest.raises(RefundRefusedError, match="Order C is not known"):
        await refund(bought, "C")


async def test_empty_refund_id_is_refused(bought: LedgerFixture) -> None:
    with pytest.raises(RefundRefusedError, match="refund id is empty"):
        await refund(bought, "A", refund_id="")


async def test_refund_of_order_without_earnings_takes_nothing(ledger: LedgerFixture) -> None:
    await ledger.database.log_referral_purchase(9, "nobody", 20_000)
    recorded = await refund(ledger, "nobody")
    assert (recorded.outcome, recorded.referrer_id) == (RefundOutcome.NOBODY_EARNED, None)
    assert (recorded.amount_cents, recorded.taken_cents, recorded.owed_cents) == (20_000, 0, 0)
    await ledger.database.create_referral(1, 2)
    await ledger.database.blacklist_referral_user(1)
    await ledger.database.log_referral_purchase(2, "barred", 20_000)
    recorded = await refund(ledger, "barred")
    assert (recorded.outcome, recorded.taken_cents) == (RefundOutcome.NOBODY_EARNED, 0)
    assert (await ledger.database.get_referral_stats(1))["total_spend_cents"] == 0


async def test_refund_uses_the_rate_of_the_purchase(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    await ledger.database.log_referral_purchase(2, "A", 20_000, cashback_percent=10)
    await ledger.database.log_referral_purchase(2, "B", 20_000, cashback_percent=0.5)
    assert (await refund(ledger, "A")).taken_cents == 2_000
    assert await ledger.pending(1) == 100


async def test_refund_is_exact_below_a_cent(ledger: LedgerFixture) -> None:
    """Ten purchases of $1.99 earn 9.95 cents; without three of them it is 6.965."""
    await ledger.database.create_referral(1, 2)
    for number in range(10):
        await ledger.database.log_referral_purchase(2, number, 199)
    for number in range(3):
        await refund(ledger, str(number))
    assert ledger.rows("SELECT cashback_earned_cents, cashback_carry_ppm FROM referrals") == [(6, 965_000)]
    for number in range(3, 10):
        await refund(ledger, str(number))
    assert ledger.rows("SELECT cashback_earned_cents, cashback_carry_ppm FROM referrals") == [(0, 0)]


async def test_refund_after_payout_is_set_off_against_later_earnings(bought: LedgerFixture) -> None:
    await bought.pay()
    recorded = await refund(bought, "A")
    assert (recorded.taken_cents, recorded.owed_cents) == (100, 100)
    assert bought.balance(1) == 150
    assert await beside(bought, 1) == (0, 100)
    await bought.database.log_referral_purchase(2, "C", 12_000)
    assert (await bought.pending(1), await beside(bought)) == (0, (0, 40))
    with pytest.raises(NothingPendingError):
        await bought.propose()
    await bought.database.log_referral_purchase(2, "D", 10_000)
    assert (await bought.pending(1), await beside(bought, 1)) == (10, (0, 0))
    assert (await bought.pay()).total_cents == 10
    assert bought.balance(1) == 160


async def test_debt_affects_only_its_referral(bought: LedgerFixture) -> None:
    await bought.pay()
    await refund(bought, "A")
    await bought.earn(1, 70)
    assert (await bought.pending(1), await beside(bought, 1)) == (70, (0, 100))


async def test_refund_between_summary_and_payout_is_not_paid(bought: LedgerFixture) -> None:
    number = await bought.approved()
    await refund(bought, "A")
    await bought.run(number)
    assert bought.payouts(number) == [(1, "credited", 50, None)]


async def test_full_refund_between_summary_and_payout_skips_it(bought: LedgerFixture) -> None:
    number = await bought.approved()
    await refund(bought, "A")
    await refund(bought, "B")
    await bought.run(number)
    assert bought.payouts(number) == [(1, "skipped", 0, "nothing_pending")]


async def test_refund_is_audited_with_actor_and_reason(bought: LedgerFixture) -> None:
    await refund(bought, "A", 5_000, refund_id="R1", reason="torn")
    [(actor, details)] = bought.rows("SELECT actor, details FROM cashback_audit_log WHERE action = 'purchase_refunded'")
    assert actor == "cli"
    assert '"reason": "torn"' in details
    assert '"taken_cents": 25' in details


async def test_refund_at_another_shop_names_it_in_the_audit_log(ledger: LedgerFixture) -> None:
    hats = Origin(source="hats")
    bought = [Purchase("A", 2, 20_000)]
    await ledger.database.write(record_purchases, bought, 5_000, ledger.clock(), origin=hats)
    await ledger.database.write(record_refund, Refund(order_id="A"), actor="cli", now=ledger.clock(), origin=hats)
    [(details,)] = ledger.rows("SELECT details FROM cashback_audit_log WHERE action = 'purchase_refunded'")
    assert json.loads(details)["source"] == "hats"


@pytest.mark.parametrize(
    "tampering",
    [
        "DELETE FROM cashback_referral_refunds",
        "UPDATE cashback_referral_refunds SET amount_cents = 1",
        "DELETE FROM cashback_referral_purchases",
        "UPDATE cashback_referral_purchases SET refunded_cents = 0",
        "UPDATE cashback_referral_purchases SET rate_ppm = 1",
    ],
)
async def test_purchases_and_refunds_are_append_only(bought: LedgerFixture, tampering: str) -> None:
    await refund(bought, "A", 5_000)
    with raw(bought.location) as connection, pytest.raises(Exception, match=r"only ever added to|never changed"):
        connection.execute(tampering)


async def test_held_cashback_is_payable_after_the_holding_period(open_database: OpenDatabase, clock: Clock) -> None:
    async with Database(open_database().location, clock=clock, holding_days=14) as database:
        ledger = LedgerFixture(database, clock)
        await database.create_referral(1, 2)
        await database.log_referral_purchase(2, "A", 20_000)
        clock.advance(timedelta(days=4).total_seconds())
        await database.log_referral_purchase(2, "B", 10_000)
        assert (await ledger.pending(1), await beside(ledger, 1)) == (0, (150, 0))
        with pytest.raises(NothingPendingError):
            await ledger.propose()
        clock.moment = FRIDAY + timedelta(days=14, microseconds=-1)
        assert await ledger.pending(1) == 0
        clock.moment = FRIDAY + timedelta(days=14)
        assert (await ledger.pending(1), await beside(ledger)) == (100, (50, 0))
        assert (await ledger.pay()).total_cents == 100
        clock.moment = FRIDAY + timedelta(days=18)
        assert (await ledger.pending(1), await beside(ledger)) == (50, (0, 0))
        assert (await ledger.pay()).total_cents == 50
        assert (await ledger.verify()).breaches == ()


async def test_refund_of_held_purchase_takes_nothing(open_database: OpenDatabase, clock: Clock) -> None:
    async with Database(open_database().location, clock=clock, holding_days=14) as database:
        ledger = LedgerFixture(database, clock)
        await database.create_referral(1, 2)
        await database.log_referral_purchase(2, "A", 20_000)
        await database.log_referral_purchase(2, "B", 10_000)
        recorded = await refund(ledger, "A")
        assert (recorded.taken_cents, recorded.owed_cents) == (100, 0)
        assert await beside(ledger, 1) == (50, 0)
        clock.advance(timedelta(days=14).total_seconds())
        assert (await ledger.pay()).total_cents == 50


async def test_held_carry_is_not_paid_early(open_database: OpenDatabase, clock: Clock) -> None:
    """0.9 cents are payable and 0.9 held: together a cent, which is not payable yet."""
    async with Database(open_database().location, clock=clock, holding_days=1) as database:
        ledger = LedgerFixture(database, clock)
        await database.create_referral(1, 2)
        await database.log_referral_purchase(2, "A", 180)
        clock.advance(timedelta(days=1).total_seconds())
        await database.log_referral_purchase(2, "B", 180)
        assert (await ledger.pending(1), await beside(ledger)) == (0, (1, 0))
        clock.advance(timedelta(days=1).total_seconds())
        assert (await ledger.pending(1), await beside(ledger)) == (1, (0, 0))


async def test_free_purchase_holds_nothing(open_database: OpenDatabase, clock: Clock) -> None:
    """A world of the simulation found it: verify took the purchase as held, and the referral did not know of it."""
    async with Database(open_database().location, clock=clock, holding_days=1) as database:
        ledger = LedgerFixture(database, clock)
        await database.create_referral(1, 2)
        await database.log_referral_purchase(2, "A", 0)
        assert await beside(ledger, 1) == (0, 0)
        assert (await ledger.verify()).breaches == ()


async def test_largest_held_purchases_are_exact(open_database: OpenDatabase, clock: Clock) -> None:
    """A sum of their products would not fit 64 bits."""
    async with Database(open_database().location, clock=clock, holding_days=1) as database:
        ledger = LedgerFixture(database, clock)
        await database.create_referral(1, 2)
        for number in range(12):
            await database.log_referral_purchase(2, number, 10**12, cashback_percent=100)
        await database.log_referral_purchase(2, "small", 199)
        assert (await ledger.pending(1), await beside(ledger)) == (0, (12 * 10**12, 0))
        clock.advance(timedelta(days=1).total_seconds())
        assert await ledger.pending(1) == 12 * 10**12
