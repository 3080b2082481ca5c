"""Refunds as shops send them: too much, cumulative, before their purchase, and disputes that are won."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cashback.database import Database
from cashback.database.integrity import reconciliation
from cashback.database.referral_program.refunds import RecordedRefund, Refund
from cashback.database.referral_program.shop_refunds import receive_refund, receive_refunds
from cashback.domain.earning import Origin
from cashback.domain.errors import NothingLeftError, OtherRefundError
from tests.conftest import FRIDAY, LedgerFixture
from tests.examples import examples

pytestmark = pytest.mark.anyio


async def send(ledger: LedgerFixture, order_id: str, cents: int | None = None, **facts: Any) -> RecordedRefund:  # noqa: ANN401 -- any of a refund's
    """Hand a refund in, as a shop would."""
    refund = Refund(order_id=order_id, amount_cents=cents, **facts)
    return await ledger.database.write(receive_refund, refund, actor="shop:s", now=ledger.clock())


async def buy(ledger: LedgerFixture, order_id: str = "A", cents: int = 20_000) -> int | None:
    return await ledger.database.log_referral_purchase(2, order_id, cents)


async def kept(ledger: LedgerFixture) -> int:
    """Return what the referrer earned, if the books balance."""
    assert (await ledger.database.read(reconciliation.verify)).breaches == ()
    return (await ledger.database.get_referral_stats(1))["total_earned_cents"]


@pytest.fixture
async def referred(ledger: LedgerFixture) -> LedgerFixture:
    """Let 1 refer 2, at half a percent."""
    await ledger.database.create_referral(1, 2)
    return ledger


async def test_more_than_is_left_takes_what_is_left_and_reports_it(referred: LedgerFixture) -> None:
    await buy(referred)
    answer = await send(referred, "A", 22_600, refund_id="R1")
    assert (answer.outcome, answer.amount_cents, answer.asked_cents, answer.taken_cents) == (
        "taken_back",
        20_000,
        22_600,
        100,
    )
    again = await send(referred, "A", 22_600, refund_id="R1")
    assert (again.outcome, again.amount_cents, again.asked_cents) == ("repeated", 20_000, 22_600)
    with pytest.raises(OtherRefundError):
        await send(referred, "A", 22_601, refund_id="R1")
    with pytest.raises(NothingLeftError):
        await send(referred, "A", 1, refund_id="R2")
    assert await kept(referred) == 0


async def test_sum_of_refunds_is_idempotent_and_never_falls(referred: LedgerFixture) -> None:
    await buy(referred)
    outcomes = [(await send(referred, "A", cents, is_in_all=True)).outcome for cents in (5_000, 5_000, 4_000, 12_000)]
    assert outcomes == ["taken_back", "repeated", "repeated", "taken_back"]
    assert await kept(referred) == 40
    assert (await send(referred, "A", None, is_in_all=True)).amount_cents == 8_000
    assert (await send(referred, "A", 99_000, is_in_all=True)).outcome == "repeated"
    assert await kept(referred) == 0


async def test_sum_counts_refunds_with_ids_too(referred: LedgerFixture) -> None:
    await buy(referred)
    await send(referred, "A", 3_000, refund_id="R1")
    assert (await send(referred, "A", 5_000, is_in_all=True)).amount_cents == 2_000


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ([{"cents": 5_000, "refund_id": "R1"}], 75),
        ([{"cents": 5_000, "refund_id": "R1"}] * 2, 75),
        ([{"cents": None, "refund_id": "R1"}], 0),
        ([{"cents": 99_000, "refund_id": "R1"}], 0),
        ([{"cents": 5_000, "is_in_all": True}, {"cents": 12_000, "is_in_all": True}], 40),
        ([{"cents": 12_000, "is_in_all": True}, {"cents": 5_000, "is_in_all": True}], 40),
        ([{"cents": None, "is_in_all": True}], 0),
        ([{"cents": None, "refund_id": "D"}, {"cents": None, "refund_id": "D", "is_given_back": True}], 100),
        ([{"cents": None, "refund_id": "D", "is_given_back": True}, {"cents": None, "refund_id": "D"}], 100),
        ([{"cents": None}], 0),
    ],
)
async def test_refund_before_its_purchase_is_applied_when_it_comes(
    referred: LedgerFixture, facts: list[dict[str, Any]], left: int
) -> None:
    for fact in facts:
        assert (await send(referred, "A", **fact)).outcome == "kept"
    assert await kept(referred) == 0
    await buy(referred, "B")
    await buy(referred, "#A")
    assert await kept(referred) == 100 + left
    for fact in facts:
        assert (await send(referred, "A", **fact)).outcome != "kept"
    assert await kept(referred) == 100 + left
    assert await buy(referred) is None


async def test_kept_refund_waits_for_its_own_shop(referred: LedgerFixture) -> None:
    refund = Refund(order_id="A", amount_cents=5_000, refund_id="R1")
    await referred.database.write(
        receive_refund, refund, actor="shop:s", now=referred.clock(), origin=Origin(source="other")
    )
    await buy(referred)
    assert await kept(referred) == 100


async def test_won_dispute_gives_back_once_and_before_its_loss(referred: LedgerFixture) -> None:
    await buy(referred)
    await send(referred, "A", 8_000, refund_id="D")
    assert await kept(referred) == 60
    outcomes = [(await send(referred, "A", refund_id="D", is_given_back=True)).outcome for _ in range(2)]
    assert outcomes == ["given_back", "repeated"]
    assert await kept(referred) == 100
    assert (await send(referred, "A", 8_000, refund_id="D")).outcome == "repeated"
    assert (await send(referred, "A", refund_id="E", is_given_back=True)).outcome == "kept"
    assert (await send(referred, "A", 1_000, refund_id="E")).outcome == "repeated"
    assert await kept(referred) == 100


async def test_won_dispute_after_the_payout_is_owed_no_more(referred: LedgerFixture) -> None:
    await buy(referred)
    await referred.pay()
    assert (await send(referred, "A", refund_id="D")).owed_cents == 100
    await send(referred, "A", refund_id="D", is_given_back=True)
    assert await referred.pending(1) == 0
    await buy(referred, "B")
    assert await referred.pending(1) == 100
    assert await kept(referred) == 200


async def test_order_with_a_won_dispute_is_refunded_from_all_its_rows(referred: LedgerFixture) -> None:
    await buy(referred)
    await send(referred, "A", 8_000, refund_id="D")
    await send(referred, "A", refund_id="D", is_given_back=True)
    assert (await send(referred, "A", 15_000, refund_id="R")).amount_cents == 15_000
    assert await kept(referred) == 25
    assert (await send(referred, "A", 15_000, refund_id="R")).amount_cents == 15_000
    assert (await send(referred, "A", 16_000, is_in_all=True)).amount_cents == 1_000
    assert (await send(referred, "A", refund_id="S")).amount_cents == 4_000
    assert await kept(referred) == 0


FACTS = st.lists(
    st.tuples(
        st.sampled_from(["refund", "in all", "dispute", "won"]),
        st.sampled_from(["R1", "R2", "R3"]),
        st.sampled_from([None, 100, 2_500, 20_000, 30_000]),
    ),
    max_size=8,
)


def _refund(kind: str, refund_id: str, cents: int | None) -> Refund:
    if kind == "in all":
        return Refund(order_id="A", amount_cents=cents, is_in_all=True)
    if kind == "refund":
        return Refund(order_id="A", amount_cents=cents or 700, refund_id=refund_id)
    return Refund(order_id="A", refund_id=f"D{refund_id}", is_given_back=kind == "won")


@settings(max_examples=examples(40), deadline=None)
@given(facts=FACTS, repeats=st.integers(1, 2))
async def test_refunds_never_exceed_the_order_and_repeats_change_nothing(
    new_ledger: Any,  # noqa: ANN401 -- a path
    tmp_path_factory: pytest.TempPathFactory,
    facts: list[tuple[str, str, int | None]],
    repeats: int,
) -> None:
    path = tmp_path_factory.mktemp("l") / "l.db"
    path.write_bytes(new_ledger.read_bytes())
    async with Database(path, clock=lambda: FRIDAY) as database:
        await database.create_referral(1, 2)
        refunds = [_refund(*fact) for fact in facts]
        await database.log_referral_purchase(2, "A", 20_000)
        sums = []
        for _ in range(repeats):
            await database.write(receive_refunds, refunds, actor="shop", now=FRIDAY)
            sums.append((await database.get_referral_stats(1))["total_spend_cents"])
        assert 0 <= sums[-1] <= 20_000
        assert (await database.read(reconciliation.verify)).breaches == ()
