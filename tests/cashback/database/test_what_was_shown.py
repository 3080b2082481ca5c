"""An approval is for the cashback that was shown: nothing that was earned after the plan, and not permanently."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest

from cashback.database.payouts import approvals, lapsing, retries, runs
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.refunds import Refund, record_refund
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchStatus
from tests.conftest import ALL_OF_IT_PPM, Clock, LedgerFixture, drop_guards, raw
from verification.testbed import databases

pytestmark = pytest.mark.anyio


async def failed(ledger: LedgerFixture, cents: int) -> tuple[int, int]:
    """Have the payout of a referrer fail; return the buyer and the batch."""
    [buyer] = await ledger.earn(1, cents)
    number = await ledger.approved()
    with databases.connect(ledger.location) as connection:
        databases.break_wallet(connection, 1)
        recorder = await ledger.run(number)
        databases.mend_wallet(connection)
    assert recorder.reports[0].failed == 1
    return buyer, number


async def retry(ledger: LedgerFixture, number: int) -> int:
    """Retry a batch's failed payouts, run it, and return what it paid in all."""
    await ledger.database.write(retries.begin, number, actor="system", why=None, now=ledger.clock())
    return (await ledger.run(number)).reports[0].total_cents


async def test_retry_pays_nothing_that_was_earned_after_the_plan(ledger: LedgerFixture) -> None:
    buyer, number = await failed(ledger, 300)
    assert (await ledger.pay()).total_cents == 300
    await ledger.buy([(buyer, 1200)])
    assert await retry(ledger, number) == 0
    assert await ledger.pending(1) == 1200


async def test_retry_pays_what_was_shown_and_not_what_came_since(ledger: LedgerFixture) -> None:
    buyer, number = await failed(ledger, 300)
    await ledger.buy([(buyer, 1200)])
    assert await retry(ledger, number) == 300
    assert await ledger.pending(1) == 1200


async def test_resumed_batch_pays_what_was_shown_less_refunds_since(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 300)
    number = await ledger.approved()
    await ledger.database.write(runs.stop, number, actor="cli", now=ledger.clock())
    await ledger.database.write(
        record_refund, Refund(order_id="order-1", amount_cents=100), actor="cli", now=ledger.clock()
    )
    await ledger.buy([(buyer, 500)])
    await ledger.database.write(runs.resume, number, actor="cli", now=ledger.clock())
    assert (await ledger.run(number)).reports[0].total_cents == 200
    assert await ledger.pending(1) == 500


async def test_cashback_that_was_held_at_the_plan_is_not_paid_by_it(ledger: LedgerFixture, clock: Clock) -> None:
    [buyer] = await ledger.earn(1, 300)
    await ledger.earn(2, 50)
    held = [Purchase(f"held-{member}", member, 100) for member in (buyer, (await ledger.earn(1, 0))[0])]
    await ledger.database.write(record_purchases, held, ALL_OF_IT_PPM, clock(), holding_days=1)
    number = await ledger.approved()
    shown = ledger.rows("SELECT referrer_id, payable_cents FROM cashback_payout_shares ORDER BY 1")
    assert shown == [(1, 300), (2, 50)]
    clock.advance(86_400)
    assert (await ledger.run(number)).reports[0].total_cents == 350
    assert await ledger.pending(1) == 200


async def test_referral_that_another_program_gave_to_another_referrer_is_not_paid(ledger: LedgerFixture) -> None:
    ledger.honest = False
    await ledger.earn(1, 300, 200)
    number = await ledger.approved()
    drop_guards(ledger.location)
    await ledger.database.ensure_user(2)
    with raw(ledger.location) as connection:
        connection.execute("UPDATE referrals SET referrer_user_id = 2 WHERE cashback_earned_cents = 300")
    assert (await ledger.run(number)).reports[0].total_cents == 200
    assert (ledger.balance(1), ledger.balance(2)) == (200, 0)


@pytest.mark.parametrize("state", ["approved", "stopped", "running"])
async def test_approval_lapses_and_what_is_left_is_pending_again(
    ledger: LedgerFixture, clock: Clock, state: str
) -> None:
    await ledger.earn(1, 300)
    number = await ledger.approved()
    if state == "stopped":
        await ledger.database.write(runs.stop, number, actor="cli", now=clock())
    if state == "running":
        await ledger.database.write(runs.start, number, now=clock())
    assert await ledger.database.write(lapsing.lapse_due, now=clock.advance(14 * 86_400 - 1)) == []
    if state == "stopped":
        with pytest.raises(StaleBatchError, match="lapsed at"):
            await ledger.database.write(runs.resume, number, actor="cli", now=clock() + timedelta(seconds=1))
    assert await ledger.database.write(lapsing.lapse_due, now=clock.advance(1)) == [number]
    assert (await ledger.report(number)).status is BatchStatus.LAPSED
    assert ledger.payouts(number) == [(1, "skipped", 0, "lapsed")]
    assert await ledger.pending(1) == 300
    assert (await ledger.run(number)).reports[0].total_cents == 0
    assert (await ledger.pay()).total_cents == 300


async def test_batch_that_waited_too_long_for_the_runner_pays_nothing(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 300)
    number = await ledger.approved()
    clock.advance(200 * 86_400)
    [(_, reason)] = (await ledger.run(number)).interruptions
    assert "lapsed at" in reason
    assert (await ledger.report(number)).status is BatchStatus.APPROVED
    assert ledger.balance(1) == 0
    clock.advance(-200 * 86_400)
    assert (await ledger.run(number)).reports[0].total_cents == 300


async def test_failed_payout_lapses_and_is_not_retried(ledger: LedgerFixture, clock: Clock) -> None:
    _, number = await failed(ledger, 300)
    clock.advance(15 * 86_400)
    with pytest.raises(StaleBatchError, match="has lapsed"):
        await retry(ledger, number)
    assert await ledger.database.write(lapsing.lapse_due, now=clock()) == [number]
    assert ledger.payouts(number) == [(1, "skipped", 0, "lapsed")]
    assert (await ledger.report(number)).status is BatchStatus.COMPLETED
    assert (await ledger.pay()).total_cents == 300


TAMPERED = [
    "INSERT INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count) VALUES (1, 2, 500, 1)",
    "UPDATE cashback_payouts SET approved_cents = 301 WHERE referrer_id = 1",
    "UPDATE cashback_payout_shares SET payable_cents = 900 WHERE referrer_id = 1",
    "DELETE FROM cashback_payout_shares",
    "UPDATE cashback_payout_shares SET refunded_cents = -100",
]


@pytest.mark.parametrize("change", TAMPERED)
@pytest.mark.parametrize("moment", ["before the approval", "before the run", "before the resumption"])
async def test_plan_that_was_changed_pays_nothing(ledger: LedgerFixture, change: str, moment: str) -> None:
    ledger.honest = False
    await ledger.earn_all([(1, 300), (2, 500)])
    number = (await ledger.propose(target_user_id=1)).batch_number
    if moment != "before the approval":
        await ledger.approve(number)
    if moment == "before the resumption":
        await ledger.database.write(runs.stop, number, actor="cli", now=ledger.clock())
    with raw(ledger.location) as connection:
        for trigger in ("cashback_payouts_fixed", "cashback_payout_shares_fixed", "cashback_payout_shares_kept"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(change)
    refusal = "is not the one that was proposed; nothing is paid"
    if moment == "before the approval":
        with pytest.raises(StaleBatchError, match=refusal):
            await ledger.approve(number)
    elif moment == "before the resumption":
        with pytest.raises(StaleBatchError, match=refusal):
            await ledger.database.write(runs.resume, number, actor="cli", now=ledger.clock())
    else:
        [(_, reason)] = (await ledger.run(number)).interruptions
        assert refusal in reason
    assert (ledger.balance(1), ledger.balance(2)) == (0, 0)


def plan_of_before(ledger: LedgerFixture) -> str:
    """Digest the plan of batch 1 as earlier versions did: payout by payout, each with its referrals."""
    shares = ledger.rows(
        "SELECT referrer_id, referral_id, payable_cents, refunded_cents FROM cashback_payout_shares ORDER BY 1, 2"
    )
    lines = [
        f"{referrer}:{cents}:"
        + "+".join(f"{rid}={payable}-{back}" for of, rid, payable, back in shares if of == referrer)
        for referrer, cents in ledger.rows("SELECT referrer_id, approved_cents FROM cashback_payouts ORDER BY 1")
    ]
    return hashlib.sha256(",".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("change", [None, *TAMPERED])
async def test_plan_of_an_earlier_version_is_paid_as_it_was_shown(ledger: LedgerFixture, change: str | None) -> None:
    ledger.honest = False
    await ledger.earn_all([(1, 300), (2, 500)])
    number = (await ledger.propose(target_user_id=1)).batch_number
    with raw(ledger.location) as connection:
        for trigger in ("cashback_audit_log_fixed", "cashback_payouts_fixed", "cashback_payout_shares_fixed"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("DROP TRIGGER cashback_payout_shares_kept")
        [(details,)] = ledger.rows("SELECT details FROM cashback_audit_log WHERE action = 'batch_proposed'")
        told = json.dumps(json.loads(details) | {"plan": plan_of_before(ledger)})
        connection.execute("UPDATE cashback_audit_log SET details = ? WHERE action = 'batch_proposed'", (told,))
        if change is not None:
            connection.execute(change)
    if change is None:
        await ledger.approve(number)
        assert (await ledger.run(number)).reports[0].total_cents == 300
    else:
        with pytest.raises(StaleBatchError, match="is not the one that was proposed"):
            await ledger.approve(number)


async def test_message_of_another_proposal_decides_nothing(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 300)
    summary = await ledger.propose()
    for token in ("", "0123456789abcdef", summary.token[:-1]):
        with pytest.raises(StaleBatchError, match="shows another proposal"):
            await ledger.database.write(
                approvals.approve, summary.batch_number, actor="cli", now=ledger.clock(), token=token
            )
    approve = ledger.database.write(
        approvals.approve, summary.batch_number, actor="cli", now=ledger.clock(), token=summary.token
    )
    assert await approve is not None
