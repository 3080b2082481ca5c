"""The complete record of what takes cashback back: reversals and refunds, each with actor, moment and reason."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cashback.database.payouts import reversals
from cashback.database.referral_program.refunds import Refund, record_refund
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchLimits, ReversalStatus
from tests.cashback.services.test_recorded_effects import entries, lose_every_race
from tests.conftest import Clock, LedgerFixture

pytestmark = pytest.mark.anyio

TOKEN, OTHER_TOKEN = "0123456789abcdef", "fedcba9876543210"
REASON = "une carte volée"


async def propose(
    ledger: LedgerFixture, number: int, *, referrer_id: int | None = 1, threshold_cents: int | None = None
) -> int:
    """Propose to reverse the payout to a member, or a whole batch; return the reversal's number."""
    wanted = await ledger.database.write(
        reversals.propose,
        batch_number=number,
        referrer_id=referrer_id,
        reason=REASON,
        actor="discord:7",
        now=ledger.clock(),
        expires_at=ledger.clock() + timedelta(seconds=120),
        terms=BatchLimits(approval_threshold_cents=threshold_cents),
        token=TOKEN,
    )
    return wanted.number


async def test_reversal_is_recorded_with_its_admins_moments_and_reason(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn_all([(1, 500), (2, 300)])
    paid = await ledger.pay()
    clock.advance(10)
    number = await propose(ledger, paid.batch_number, threshold_cents=500)
    shown = await ledger.database.read(reversals.find, number, clock())
    assert (shown.batch_number, shown.batch_id, shown.token) == (1, "BATCH-20260703-150000", TOKEN)
    assert (shown.referrer_id, shown.reason, shown.proposed_by) == (1, REASON, "discord:7")
    assert shown.expires_at == clock() + timedelta(seconds=120)
    assert (shown.planned_count, shown.planned_cents, shown.coverable_cents) == (1, 500, 500)
    why_two = "From $5.00 on, two admins must approve."
    assert (shown.needs_second_approver, shown.first_approved_by, shown.approved_by) == (why_two, None, None)
    clock.advance(10)
    await ledger.database.write(
        reversals.approve, number, actor="discord:7", now=clock(), approver_id=7, wait=timedelta(hours=3)
    )
    waits = await ledger.database.read(reversals.find, number, clock())
    assert waits.expires_at == clock() + timedelta(hours=3)
    clock.advance(10)
    done = await ledger.database.write(reversals.approve, number, actor="discord:8", now=clock(), approver_id=8)
    assert (done.status, done.coverable_cents) == (ReversalStatus.DONE, 0)
    assert (done.reversed_cents, done.shortfall_cents) == (500, 0)
    proposed = {"reversal": number, "referrer_id": 1, "users": 1, "total_cents": 500, "reason": REASON}
    assert entries(ledger, "reversal_proposed") == [("discord:7", 1, proposed | {"token": TOKEN, "why_two": why_two})]
    assert entries(ledger, "reversal_first_approved") == [("discord:7", 1, {"reversal": number, "why_two": why_two})]
    assert entries(ledger, "payouts_reversed") == [
        (
            "discord:8",
            1,
            {
                "reversal": number,
                "referrer_id": 1,
                "users": 1,
                "reversed_cents": 500,
                "shortfall_cents": 0,
                "reason": REASON,
                "proposed_by": "discord:7",
                "first_approved_by": "discord:7",
            },
        )
    ]
    assert ledger.rows("SELECT proposed_at, finished_at, approver_id FROM cashback_reversals") == [
        ("2026-07-03 15:00:10.000000", "2026-07-03 15:00:30.000000", 8)
    ]
    assert ledger.rows("SELECT description, metadata, created_at FROM wallet_transactions WHERE amount_cents < 0") == [
        (
            f"Referral cashback reversed - {REASON}",
            '{"batch_id": "BATCH-20260703-150000", "reversal": 1, "reason": "une carte volée"}',
            "2026-07-03 15:00:30.000000",
        )
    ]
    assert ledger.rows(
        "SELECT discord_id, wallet_balance_cents, updated_at FROM users WHERE discord_id < 9 ORDER BY 1"
    ) == [
        (1, 0, "2026-07-03 15:00:30.000000"),
        (2, 300, "2026-07-03 15:00:00.000000"),
    ]


async def test_refusals_of_a_reversal_give_the_state_and_the_remedy(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 500)
    paid = await ledger.pay()
    one, late = await propose(ledger, paid.batch_number), await propose(ledger, paid.batch_number)
    await ledger.database.write(reversals.cancel, one, actor="discord:8", now=clock.advance(5))
    assert entries(ledger, "reversal_cancelled") == [("discord:8", 1, {"reversal": one})]
    assert ledger.rows("SELECT status, finished_at FROM cashback_reversals WHERE number = ?", one) == [
        ("cancelled", "2026-07-03 15:00:05.000000")
    ]

    async def refusal(number: int, token: str | None = None) -> str:
        with pytest.raises(StaleBatchError) as refused:
            await ledger.database.write(
                reversals.approve, number, actor="discord:7", now=clock(), approver_id=7, token=token
            )
        return str(refused.value)

    assert await refusal(one) == "This reversal is cancelled already; nothing was reversed twice."
    assert await refusal(9) == "There is no reversal number 9."
    assert "shows another" in await refusal(late, token=OTHER_TOKEN)
    with pytest.raises(StaleBatchError, match="shows another"):
        await ledger.database.write(reversals.cancel, late, actor="discord:7", now=clock(), token=OTHER_TOKEN)
    clock.advance(115)
    assert await refusal(late) == (
        "This reversal expired at 2026-07-03 15:02:00 UTC; nothing was reversed. Ask for a new one."
    )
    await ledger.earn(2, 300)
    open_batch = (await ledger.propose()).batch_number
    with pytest.raises(StaleBatchError) as refused:
        await propose(ledger, open_batch)
    assert str(refused.value) == f"Batch {open_batch} has no credited payout to member 1 left to reverse."


async def test_reversal_that_is_no_longer_as_shown_moves_nothing(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 500), (2, 300)])
    paid = await ledger.pay()
    everyone = await propose(ledger, paid.batch_number, referrer_id=None)
    one = await propose(ledger, paid.batch_number)
    await ledger.database.write(reversals.approve, one, actor="discord:7", now=ledger.clock(), approver_id=7)
    before = ledger.money()
    with pytest.raises(StaleBatchError) as refused:
        await ledger.database.write(reversals.approve, everyone, actor="discord:7", now=ledger.clock(), approver_id=7)
    assert str(refused.value) == (
        "Some of it was taken back since this was shown; nothing was done. Ask for a new reversal."
    )
    assert ledger.money() == before


@pytest.mark.about_a_file("its trigger can have an update find nothing")
@pytest.mark.parametrize(
    ("table", "refusal"),
    [
        ("users", "A wallet changed in the meantime; nothing was reversed. Ask for a new reversal."),
        ("cashback_reversals", "Reversal 1 was decided in the meantime; nothing was done."),
    ],
)
async def test_reversal_that_loses_a_race_moves_nothing(ledger: LedgerFixture, table: str, refusal: str) -> None:
    await ledger.earn(1, 500)
    number = await propose(ledger, (await ledger.pay()).batch_number)
    before = ledger.money()
    lose_every_race(ledger, table)
    with pytest.raises(StaleBatchError) as refused:
        await ledger.database.write(reversals.approve, number, actor="discord:7", now=ledger.clock(), approver_id=7)
    assert str(refused.value) == refusal
    assert ledger.money() == before
    assert entries(ledger, "payouts_reversed") == []


async def test_refund_is_recorded_with_its_admin_moment_and_reason(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 500)
    refund = Refund(order_id="order-1", amount_cents=200, refund_id="R1", reason="torn")
    told = await ledger.database.write(record_refund, refund, actor="discord:7", now=clock.advance(60))
    assert (told.outcome, told.refund_id, told.order_id) == ("taken_back", "R1", "order-1")
    assert (told.amount_cents, told.taken_cents, told.referrer_id, told.owed_cents) == (200, 200, 1, 0)
    assert told.asked_cents is None
    assert entries(ledger, "purchase_refunded") == [
        (
            "discord:7",
            None,
            {
                "refund_id": "R1",
                "order_id": "order-1",
                "amount_cents": 200,
                "taken_cents": 200,
                "referrer_id": 1,
                "reason": "torn",
            },
        )
    ]
    columns = "refund_id, part_of, order_id, amount_cents, asked_cents, taken_cents, reason, refunded_by, refunded_at"
    assert ledger.rows(f"SELECT {columns}, source FROM cashback_referral_refunds") == [
        ("R1", None, "order-1", 200, None, 200, "torn", "discord:7", "2026-07-03 15:01:00.000000", "main")
    ]
