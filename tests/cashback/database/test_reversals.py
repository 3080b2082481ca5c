"""Taking back: by new entries, as far as the wallet holds, each payout once, and on record."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from cashback.database.payouts import crediting, reversals, runs
from cashback.domain.errors import SecondApproverError, StaleBatchError
from cashback.domain.model import BatchLimits, BatchReport, ChunkDiscovered, Reversal, ReversalStatus
from tests.conftest import REFUSED, Clock, LedgerFixture, OpenDatabase, drop_guards, raw

pytestmark = pytest.mark.anyio


async def propose(ledger: LedgerFixture, report: BatchReport, referrer_id: int | None = None, **terms: int) -> Reversal:
    """Write down what is to be taken back."""
    return await ledger.database.write(
        reversals.propose,
        batch_number=report.batch_number,
        referrer_id=referrer_id,
        reason='a "stolen" card',
        actor="discord:7",
        now=ledger.clock(),
        expires_at=ledger.clock() + timedelta(seconds=120),
        terms=BatchLimits(**terms),  # type: ignore[arg-type]
    )


async def approve(
    ledger: LedgerFixture, number: int, *, actor: str = "discord:7", approver_id: int | None = 7
) -> Reversal:
    """Approve it."""
    return await ledger.database.write(
        reversals.approve, number, actor=actor, now=ledger.clock(), approver_id=approver_id
    )


@pytest.fixture(autouse=True)
async def shared(ledger: LedgerFixture) -> None:
    """Let the shop's bot write into the wallets too."""
    await ledger.database.share("the shop's bot")


def spend(ledger: LedgerFixture, user_id: int, cents: int) -> None:
    """Spend from a wallet, as the shop's bot does: with a transaction."""
    with raw(ledger.location) as connection:
        connection.execute(
            "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
            " SELECT discord_id, ?, wallet_balance_cents - ?, 'purchase' FROM users WHERE discord_id = ?",
            (-cents, cents, user_id),
        )
        connection.execute(
            "UPDATE users SET wallet_balance_cents = wallet_balance_cents - ? WHERE discord_id = ?", (cents, user_id)
        )


async def test_a_batch_is_taken_back_as_far_as_the_wallets_hold_it(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 500), (2, 300), (3, 200)])
    report = await ledger.pay()
    spend(ledger, 2, 250)
    spend(ledger, 3, 200)
    wanted = await propose(ledger, report)
    assert (wanted.planned_count, wanted.planned_cents, wanted.coverable_cents) == (3, 1000, 550)
    kept = "SELECT cashback_earned_cents, cashback_paid_cents, referred_total_spend_cents FROM referrals ORDER BY id"
    before = ledger.payouts(report.batch_number), ledger.rows(kept)

    done = await approve(ledger, wanted.number)
    assert (done.status, done.reversed_cents, done.shortfall_cents) == (ReversalStatus.DONE, 550, 450)
    assert [ledger.balance(user) for user in (1, 2, 3)] == [0, 0, 0]
    assert ledger.rows("SELECT referrer_id, amount_cents, shortfall_cents FROM cashback_payout_reversals") == [
        (1, 500, 0),
        (2, 50, 250),
        (3, 0, 200),
    ]
    entries = ledger.rows(
        "SELECT user_discord_id, amount_cents, balance_after_cents, metadata FROM wallet_transactions"
        " WHERE transaction_type = 'referral_cashback_reversal'"
    )
    assert [entry[:3] for entry in entries] == [(1, -500, 0), (2, -50, 0)]
    told = {"batch_id": report.batch_id, "reversal": 1, "reason": 'a "stolen" card'}
    assert [json.loads(entry[3]) for entry in entries] == [told, told]
    assert (ledger.payouts(report.batch_number), ledger.rows(kept)) == before, "nothing is rewritten"
    assert ledger.rows("SELECT cashback_forfeited_cents FROM referrals ORDER BY id") == [(500,), (50,), (0,)]
    assert [await ledger.pending(user) for user in (1, 2, 3)] == [0, 0, 0], "it does not become pending again"
    stands = await ledger.report(report.batch_number)
    assert (stands.reversed_count, stands.reversed_cents, stands.shortfall_cents) == (3, 550, 450)


async def test_a_wallet_below_zero_gives_nothing(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 500)
    report = await ledger.pay()
    spend(ledger, 1, 600)
    done = await approve(ledger, (await propose(ledger, report, 1)).number)
    assert (done.reversed_cents, done.shortfall_cents, ledger.balance(1)) == (0, 500, -100)


async def test_a_payout_is_taken_back_once(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 500), (2, 300)])
    report = await ledger.pay()
    one, same = await propose(ledger, report, 1), await propose(ledger, report, 1)
    everyone = await propose(ledger, report)
    await approve(ledger, one.number)
    assert (await ledger.database.read(reversals.find, same.number, ledger.clock())).coverable_cents == 0
    for wanted in (one, same, everyone):
        before = ledger.money()
        with pytest.raises(StaleBatchError):
            await approve(ledger, wanted.number)
        assert ledger.money() == before
    with pytest.raises(StaleBatchError, match="has no credited payout to member 1 left to reverse"):
        await propose(ledger, report, 1)
    rest = await propose(ledger, report)
    assert (rest.planned_count, rest.planned_cents) == (1, 300)
    await approve(ledger, rest.number)
    assert [ledger.balance(user) for user in (1, 2)] == [0, 0]
    with raw(ledger.location) as connection, pytest.raises(REFUSED, match=r"(?i)unique"):
        connection.execute("INSERT INTO cashback_payout_reversals VALUES (1, 1, 1, 0, 500, 0, NULL)")


async def test_what_was_not_credited_is_not_taken_back(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 500), (2, 300)])
    proposed = await ledger.propose()
    running = await ledger.approved(target_user_id=2)
    for number in (proposed.batch_number, running):
        with pytest.raises(StaleBatchError, match="has no credited payout"):
            await propose(ledger, await ledger.report(number))
    await ledger.run(running)
    with pytest.raises(StaleBatchError, match="to member 1"):
        await propose(ledger, await ledger.report(running), 1)


async def test_running_batch_is_not_taken_back(ledger: LedgerFixture) -> None:
    await ledger.earn_all([(1, 500), (2, 300)])
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=ledger.clock())
    chunk = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=1)
    await ledger.database.write(crediting.credit_chunk, chunk, now=ledger.clock())
    with pytest.raises(StaleBatchError) as refused:
        await propose(ledger, await ledger.report(number))
    assert str(refused.value) == "Batch BATCH-20260703-150000 has no credited payout left to reverse."
    await ledger.database.write(runs.stop, number, actor="cli", now=ledger.clock())
    assert (await propose(ledger, await ledger.report(number))).planned_cents == 500


async def test_it_can_be_cancelled_and_it_expires(ledger: LedgerFixture, clock: Clock) -> None:
    await ledger.earn(1, 500)
    report = await ledger.pay()
    cancelled, late = await propose(ledger, report), await propose(ledger, report)
    await ledger.database.write(reversals.cancel, cancelled.number, actor="discord:7", now=clock())
    with pytest.raises(StaleBatchError, match="cancelled already"):
        await approve(ledger, cancelled.number)
    clock.advance(120)
    with pytest.raises(StaleBatchError, match="expired"):
        await approve(ledger, late.number)
    assert ledger.balance(1) == 500


async def test_from_the_threshold_on_another_admin_must_approve(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 500)
    report = await ledger.pay()
    assert (await propose(ledger, report, approval_threshold_cents=501)).needs_second_approver is None
    wanted = await propose(ledger, report, approval_threshold_cents=500)
    assert (await approve(ledger, wanted.number)).status is ReversalStatus.PROPOSED
    for same in (7, None):
        with pytest.raises(SecondApproverError):
            await approve(ledger, wanted.number, actor="cli:7", approver_id=same)
    with raw(ledger.location) as connection, pytest.raises(REFUSED, match="approved_by_two"):
        connection.execute(
            "UPDATE cashback_reversals SET status = 'done', approved_by = 'x', approver_id = 7, shortfall_cents = 500"
            f" WHERE number = {wanted.number}"
        )
    assert ledger.balance(1) == 500
    done = await approve(ledger, wanted.number, actor="discord:8", approver_id=8)
    assert (done.first_approved_by, done.approved_by, ledger.balance(1)) == ("discord:7", "discord:8", 0)
    actions = "SELECT action, actor FROM cashback_audit_log WHERE action LIKE '%revers%' ORDER BY id"
    assert ledger.rows(actions)[1:] == [
        ("reversal_proposed", "discord:7"),
        ("reversal_first_approved", "discord:7"),
        ("payouts_reversed", "discord:8"),
    ]


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_an_end_at_the_commit_takes_back_all_or_nothing(
    ledger: LedgerFixture, open_database: OpenDatabase, moment: str
) -> None:
    await ledger.earn_all([(1, 500), (2, 300)])
    wanted = await propose(ledger, await ledger.pay())

    def failpoint(at: str) -> None:
        if at == moment:
            raise ArithmeticError

    async with open_database(failpoint=failpoint) as failing:
        with pytest.raises(ArithmeticError):
            await failing.write(reversals.approve, wanted.number, actor="discord:7", now=ledger.clock(), approver_id=7)
    assert ledger.balance(1) == (500 if moment == "before commit" else 0)
    if moment == "before commit":
        await approve(ledger, wanted.number)
    assert [ledger.balance(user) for user in (1, 2)] == [0, 0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_transactions SET amount_cents = -1 WHERE amount_cents < 0",
        "DELETE FROM wallet_transactions WHERE amount_cents < 0",
        "UPDATE cashback_payout_reversals SET amount_cents = 1",
        "DELETE FROM cashback_payout_reversals",
        "UPDATE cashback_reversals SET reason = 'none'",
        "DELETE FROM cashback_reversals",
    ],
)
async def test_what_was_taken_back_is_never_changed_and_verify_would_see_it(
    ledger: LedgerFixture, statement: str
) -> None:
    await ledger.earn_all([(1, 500), (2, 300)])
    await approve(ledger, (await propose(ledger, await ledger.pay())).number)
    assert (await ledger.verify()).breaches == ()
    with raw(ledger.location) as connection, pytest.raises(REFUSED, match=r"never changed|only ever added to"):
        connection.execute(statement)
    drop_guards(ledger.location)
    ledger.honest = False
    with raw(ledger.location) as connection:
        connection.execute(statement)
    if "reason" not in statement:
        assert (await ledger.verify()).breaches != ()
