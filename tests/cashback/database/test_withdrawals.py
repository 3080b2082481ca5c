"""Withdrawals and adjustments from the member's side: each cent is in the wallet, asked for, or paid out, once."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from functools import partial

import anyio
import pytest

from cashback.database.payouts import reversals
from cashback.database.wallets import adjustments, decisions, statement, withdrawals
from cashback.domain.errors import (
    CashbackError,
    NotAllowedError,
    SecondApproverError,
    StaleBatchError,
    WithdrawalRefusedError,
)
from cashback.domain.model import BatchLimits
from cashback.domain.withdrawals import Withdrawal, WithdrawalStatus
from tests.conftest import REFUSED, Clock, LedgerFixture, OpenDatabase, drop_guards, raw
from tests.examples import first_of

pytestmark = pytest.mark.anyio

SECRET = "gAAAA-an-encrypted-address"  # noqa: S105 -- no secret, it stands for an encrypted text


async def wallet(ledger: LedgerFixture, *cents: int) -> int:
    """Pay members 1, 2, … so much; return the batch's number."""
    await ledger.earn_all(list(enumerate(cents, start=1)))
    return (await ledger.pay()).batch_number


async def ask(ledger: LedgerFixture, user_id: int, cents: int, *, threshold: int | None = None) -> Withdrawal:
    """Ask for a withdrawal as the member."""
    return await ledger.database.write(
        withdrawals.request,
        user_id=user_id,
        cents=cents,
        method="paypal",
        destination=SECRET,
        actor=f"discord:{user_id}",
        now=ledger.clock(),
        approval_threshold_cents=threshold,
    )


async def pay(ledger: LedgerFixture, number: int, *, by: int | None = 7, reference: str = "TX-1") -> Withdrawal:
    """Mark it as paid as an admin."""
    actor = "cli" if by is None else f"discord:{by}"
    return await ledger.database.write(
        decisions.pay, number, reference=reference, actor=actor, approver_id=by, now=ledger.clock()
    )


async def approve_first(ledger: LedgerFixture, number: int, *, by: int) -> Withdrawal:
    """Give the first of two approvals."""
    return await ledger.database.write(
        decisions.approve_first, number, actor=f"discord:{by}", approver_id=by, now=ledger.clock()
    )


async def decline(ledger: LedgerFixture, number: int, *, by: int | None = 7) -> Withdrawal:
    """Decline it as an admin."""
    return await ledger.database.write(
        decisions.decline, number, reason="no such account", actor="x", approver_id=by, now=ledger.clock()
    )


async def cancel(ledger: LedgerFixture, number: int) -> Withdrawal:
    """Cancel it as the member."""
    return await ledger.database.write(
        decisions.cancel, number, reason="cancelled by the member", actor="discord:1", now=ledger.clock()
    )


async def adjust(ledger: LedgerFixture, user_id: int, cents: int, **who: int | None) -> int:
    """Adjust a wallet."""
    return await ledger.database.write(
        adjustments.adjust,
        user_id=user_id,
        cents=cents,
        reason="a gift",
        actor="cli",
        actor_id=who.get("by"),
        approver_id=who.get("approved_by"),
        now=ledger.clock(),
        approval_threshold_cents=who.get("threshold"),
    )


def actions(ledger: LedgerFixture) -> list[str]:
    """List the audit log's actions about wallets."""
    found = ledger.rows("SELECT action FROM cashback_audit_log WHERE action LIKE '%w%l%' ORDER BY id")
    return [action for (action,) in found if action.startswith(("withdrawal", "wallet"))]


async def test_request_takes_the_amount_out_of_the_wallet_at_once(ledger: LedgerFixture) -> None:
    await wallet(ledger, 500)
    asked = await ask(ledger, 1, 300)
    assert (asked.status, asked.is_open, ledger.balance(1)) == (WithdrawalStatus.REQUESTED, True, 200)
    [moved] = ledger.rows(
        "SELECT amount_cents, balance_after_cents, description FROM wallet_transactions"
        " WHERE transaction_type = 'cashback_withdrawal'"
    )
    assert moved == (-300, 200, "Withdrawal 1 - paypal")
    done = await pay(ledger, asked.number)
    assert (done.status, done.reference, ledger.balance(1)) == (WithdrawalStatus.PAID, "TX-1", 200)
    assert actions(ledger) == ["withdrawal_requested", "withdrawal_paid"]


@pytest.mark.parametrize("how", [decline, cancel])
async def test_amount_that_is_not_paid_returns_once(ledger: LedgerFixture, how: object) -> None:
    await wallet(ledger, 500)
    asked = await ask(ledger, 1, 500)
    assert ledger.balance(1) == 0
    await how(ledger, asked.number)  # type: ignore[operator]
    assert ledger.balance(1) == 500
    for again in (decline, cancel, pay):
        with pytest.raises(StaleBatchError, match="already"):
            await again(ledger, asked.number)
    assert ledger.balance(1) == 500
    assert (await ask(ledger, 1, 500)).number == asked.number + 1


async def test_decision_on_another_version_of_a_request_is_refused(ledger: LedgerFixture) -> None:
    await wallet(ledger, 500)
    shown = await ask(ledger, 1, 100)
    await cancel(ledger, shown.number)
    asked = await ask(ledger, 1, 200)
    for decide in (
        partial(decisions.approve_first, approver_id=7),
        partial(decisions.pay, approver_id=7, reference="TX-1"),
        partial(decisions.decline, approver_id=7, reason="x"),
        partial(decisions.cancel, reason="x"),
    ):
        with pytest.raises(StaleBatchError, match=r"is not as it was shown: it is \$2.00 by paypal for 1"):
            await ledger.database.write(
                decide, asked.number, actor="discord:7", now=ledger.clock(), version=shown.version
            )
    assert (await pay(ledger, asked.number)).status is WithdrawalStatus.PAID


async def test_request_in_a_list_for_the_bank_is_not_cancelled_by_its_member(ledger: LedgerFixture) -> None:
    """The check and the cancellation are one transaction: the list may be written between a look and the press."""
    await wallet(ledger, 500)
    asked = await ask(ledger, 1, 300)
    await ledger.database.write(withdrawals.record_export, [asked], actor="cli", now=ledger.clock())
    with pytest.raises(WithdrawalRefusedError, match="is being transferred already"):
        await cancel(ledger, asked.number)
    assert ledger.balance(1) == 200


@pytest.mark.parametrize("how", [cancel, decline])
async def test_list_with_a_request_that_was_ended_meanwhile_is_refused(ledger: LedgerFixture, how: object) -> None:
    await wallet(ledger, 500)
    listed = [await ask(ledger, 1, 300)]
    await how(ledger, listed[0].number)  # type: ignore[operator]
    with pytest.raises(StaleBatchError, match="Export them again"):
        await ledger.database.write(withdrawals.record_export, listed, actor="cli", now=ledger.clock())
    assert "withdrawals_exported" not in actions(ledger)


async def test_member_has_one_open_request(ledger: LedgerFixture) -> None:
    await wallet(ledger, 500)
    await ask(ledger, 1, 100)
    with pytest.raises(WithdrawalRefusedError, match=r"Withdrawal 1 of \$1.00 is still open"):
        await ask(ledger, 1, 100)
    assert ledger.balance(1) == 400
    with raw(ledger.location) as connection, pytest.raises(REFUSED):
        connection.execute(
            "INSERT INTO cashback_withdrawals (number, user_id, method, amount_cents, status, requested_at, debit_id)"
            " SELECT 9, user_id, method, amount_cents, status, requested_at, 1 FROM cashback_withdrawals"
        )


@pytest.mark.parametrize("cents", [501, 0, -1, 10**15])
async def test_wallet_is_never_taken_below_zero(ledger: LedgerFixture, cents: int) -> None:
    await wallet(ledger, 500)
    before = ledger.money()
    with pytest.raises(WithdrawalRefusedError):
        await ask(ledger, 1, cents)
    with pytest.raises(CashbackError):
        await adjust(ledger, 1, -abs(cents) - 501)
    assert ledger.money() == before
    assert ledger.rows("SELECT * FROM cashback_withdrawals") == []


async def test_stranger_has_nothing_to_withdraw(ledger: LedgerFixture) -> None:
    with pytest.raises(WithdrawalRefusedError, match=r"holds \$0.00"):
        await ask(ledger, 77, 1)


async def test_admin_does_not_decide_on_the_own_request(ledger: LedgerFixture) -> None:
    await wallet(ledger, 500)
    asked = await ask(ledger, 1, 300, threshold=300)
    for decide in (pay, decline, approve_first):
        with pytest.raises(NotAllowedError, match="your own"):
            await decide(ledger, asked.number, by=1)
    assert ledger.balance(1) == 200


async def test_two_admins_pay_from_the_threshold_on(ledger: LedgerFixture) -> None:
    await wallet(ledger, 500, 500)
    below = await ask(ledger, 2, 299, threshold=300)
    assert (await pay(ledger, below.number, by=None)).status is WithdrawalStatus.PAID
    asked = await ask(ledger, 1, 300, threshold=300)
    with pytest.raises(StaleBatchError, match="needs two admins"):
        await pay(ledger, asked.number)
    assert (await approve_first(ledger, asked.number, by=7)).needs_first_approval is False
    with pytest.raises(StaleBatchError, match="needs no first approval"):
        await approve_first(ledger, asked.number, by=8)
    for same in (7, None):
        with pytest.raises(SecondApproverError):
            await pay(ledger, asked.number, by=same)
    assert (await pay(ledger, asked.number, by=8)).decided_by == "discord:8"


async def test_reversal_cancels_the_open_request_first(ledger: LedgerFixture) -> None:
    batch = await wallet(ledger, 500, 400)
    mine, other = await ask(ledger, 1, 450), await ask(ledger, 2, 100)
    now = ledger.clock()
    proposed = await ledger.database.write(
        reversals.propose,
        batch_number=batch,
        referrer_id=1,
        reason="a stolen card",
        actor="cli",
        now=now,
        expires_at=now + timedelta(minutes=2),
        terms=BatchLimits(),
    )
    assert (proposed.planned_cents, proposed.coverable_cents) == (500, 500)
    done = await ledger.database.write(reversals.approve, proposed.number, actor="cli", now=now)
    assert (done.reversed_cents, done.shortfall_cents, ledger.balance(1)) == (500, 0, 0)
    cancelled = await ledger.database.read(withdrawals.find, mine.number)
    assert (cancelled.status, cancelled.decided_by) == (WithdrawalStatus.CANCELLED, f"reversal {proposed.number}")
    assert "a stolen card" in str(cancelled.reason)
    with pytest.raises(StaleBatchError):
        await decline(ledger, mine.number)
    assert ledger.balance(1) == 0, "a decline returns nothing that was reversed"
    assert (await ledger.database.read(withdrawals.find, other.number)).is_open


async def test_paid_withdrawal_is_missing_in_a_later_reversal(ledger: LedgerFixture) -> None:
    batch = await wallet(ledger, 500)
    await pay(ledger, (await ask(ledger, 1, 450)).number)
    now = ledger.clock()
    proposed = await ledger.database.write(
        reversals.propose,
        batch_number=batch,
        referrer_id=1,
        reason="late",
        actor="cli",
        now=now,
        expires_at=now + timedelta(minutes=2),
        terms=BatchLimits(),
    )
    done = await ledger.database.write(reversals.approve, proposed.number, actor="cli", now=now)
    assert (done.reversed_cents, done.shortfall_cents) == (50, 450)


async def test_adjustments_credit_and_debit_with_a_reason(ledger: LedgerFixture) -> None:
    await wallet(ledger, 500)
    assert await adjust(ledger, 1, 250) == 750
    assert await adjust(ledger, 1, -750) == 0
    assert actions(ledger) == ["wallet_adjusted", "wallet_adjusted"]
    with pytest.raises(CashbackError, match="no wallet"):
        await adjust(ledger, 99, 100)
    with pytest.raises(NotAllowedError, match="your own"):
        await adjust(ledger, 1, 100, by=1)
    with pytest.raises(NotAllowedError, match="your own"):
        await adjust(ledger, 1, 100, by=7, approved_by=1)
    for who in ({}, {"by": 7, "approved_by": 7}):
        with pytest.raises(SecondApproverError):
            await adjust(ledger, 1, 100, threshold=100, **who)
    assert await adjust(ledger, 1, 100, threshold=100, by=7, approved_by=8) == 100


async def test_destination_is_erased_some_days_after_the_decision(ledger: LedgerFixture, clock: Clock) -> None:
    await wallet(ledger, 500, 500)
    await pay(ledger, (await ask(ledger, 1, 100)).number)
    await ask(ledger, 2, 100)
    clock.advance(7 * 86_400 - 1)
    assert await ledger.database.write(decisions.erase_destinations, now=clock(), days=7) == 0
    clock.advance(1)
    assert await ledger.database.write(decisions.erase_destinations, now=clock(), days=7) == 1
    assert await ledger.database.write(decisions.erase_destinations, now=clock(), days=7) == 0
    assert ledger.rows("SELECT destination FROM cashback_withdrawals ORDER BY number") == [(None,), (SECRET,)]


async def test_destination_is_in_its_column_only(ledger: LedgerFixture) -> None:
    await wallet(ledger, 500)
    await pay(ledger, (await ask(ledger, 1, 100)).number)
    await decline(ledger, (await ask(ledger, 1, 100)).number)
    for table in ("cashback_audit_log", "wallet_transactions", "cashback_notifications"):
        assert SECRET not in str(ledger.rows(f"SELECT * FROM {table}"))


async def test_statement_has_each_transaction_in_words(ledger: LedgerFixture) -> None:
    await ledger.database.share("another bot")
    batch = await wallet(ledger, 500)
    await ask(ledger, 1, 100)
    await adjust(ledger, 1, -50)
    with raw(ledger.location) as connection:
        connection.execute(
            "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
            " description) VALUES (1, -10, 340, 'purchase', 'A mug')"
        )
        connection.execute("UPDATE users SET wallet_balance_cents = 340 WHERE discord_id = 1")
    shown = await ledger.database.read(statement.wallet_of, 1, limit=10)
    batch_id = (await ledger.report(batch)).batch_id
    assert [(each.text, each.amount_cents) for each in shown.entries] == [
        ("A mug", -10),
        ("Adjustment - a gift", -50),
        ("Withdrawal 1 - paypal", -100),
        (f"Cashback of {batch_id}", 500),
    ]
    assert (shown.balance_cents, shown.open_withdrawal and shown.open_withdrawal.amount_cents) == (340, 100)
    assert (await ledger.database.read(statement.wallet_of, 5, limit=10)).entries == []


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
@pytest.mark.parametrize("step", ["request", "decline", "pay"])
async def test_end_at_the_commit_does_all_or_nothing(
    ledger: LedgerFixture, open_database: OpenDatabase, moment: str, step: str
) -> None:
    await wallet(ledger, 500)
    if step != "request":
        await ask(ledger, 1, 300)

    def failpoint(at: str) -> None:
        if at == moment:
            raise ArithmeticError

    async with open_database(failpoint=failpoint) as database:
        dying = LedgerFixture(database, ledger.clock)
        steps = {
            "request": lambda: ask(dying, 1, 300),
            "decline": lambda: decline(dying, 1),
            "pay": lambda: pay(dying, 1),
        }
        with pytest.raises(ArithmeticError):
            await steps[step]()
    happened = moment == "after commit"
    left = {"request": (200, 500), "decline": (500, 200), "pay": (200, 200)}[step]
    assert ledger.balance(1) == left[0 if happened else 1]
    assert len(ledger.rows("SELECT * FROM cashback_withdrawals WHERE status <> 'requested'")) == (
        happened and step != "request"
    )


REWRITES = {
    "amount": "UPDATE cashback_withdrawals SET amount_cents = 1",
    "member": "UPDATE cashback_withdrawals SET user_id = 2",
    "destination": "UPDATE cashback_withdrawals SET destination = 'elsewhere'",
    "erased while open": "UPDATE cashback_withdrawals SET destination = NULL WHERE number = 2",
    "deleted": "DELETE FROM cashback_withdrawals",
    "paid again": "UPDATE cashback_withdrawals SET reference = 'TX-2' WHERE number = 1",
    "reopened": "UPDATE cashback_withdrawals SET status = 'requested', decided_at = NULL WHERE number = 1",
    "transaction": "UPDATE wallet_transactions SET amount_cents = -1 WHERE transaction_type = 'cashback_withdrawal'",
    "no transaction": "DELETE FROM wallet_transactions WHERE transaction_type = 'cashback_adjustment'",
    "adjustment": "UPDATE cashback_wallet_adjustments SET amount_cents = 1",
    "no adjustment": "DELETE FROM cashback_wallet_adjustments",
}


@pytest.mark.parametrize("rewrite", REWRITES)
async def test_what_is_on_record_cannot_be_rewritten(ledger: LedgerFixture, rewrite: str) -> None:
    await wallet(ledger, 500, 500)
    await pay(ledger, (await ask(ledger, 1, 100)).number)
    await ask(ledger, 2, 100)
    await adjust(ledger, 1, 10)
    with raw(ledger.location) as connection, pytest.raises(REFUSED):
        connection.execute((REWRITES | REPLACEMENTS)[rewrite])


REPLACEMENTS = {
    "replaced": "INSERT OR REPLACE INTO cashback_withdrawals (number, user_id, method, amount_cents, status,"
    " requested_at, debit_id) SELECT number, user_id, method, 50, 'requested', requested_at, debit_id"
    " FROM cashback_withdrawals WHERE number = 1",
    "adjustment replaced": "INSERT OR REPLACE INTO cashback_wallet_adjustments SELECT transaction_id, user_id, 11,"
    " reason, made_by, needs_second_approver, approver_id, made_at FROM cashback_wallet_adjustments",
}


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.about_a_file("INSERT OR REPLACE is SQLite's")
async def test_what_is_on_record_cannot_be_replaced(ledger: LedgerFixture, replacement: str) -> None:
    await test_what_is_on_record_cannot_be_rewritten(ledger, replacement)


TAMPERING = {
    "amount": ("UPDATE cashback_withdrawals SET amount_cents = 90 WHERE number = 1", "transaction of its request"),
    "returned though paid": (
        "UPDATE cashback_withdrawals SET return_id = (SELECT max(id) FROM wallet_transactions) WHERE number = 1",
        "what was returned",
    ),
    "declined without return": (
        "UPDATE cashback_withdrawals SET status = 'declined', decided_at = requested_at WHERE number = 2",
        "what was returned",
    ),
    "paid without entry": (
        "UPDATE cashback_withdrawals SET status = 'paid', reference = 'x', decided_at = requested_at WHERE number = 2",
        "no audit entry withdrawal_paid",
    ),
    "decision undone": (
        "UPDATE cashback_withdrawals SET status = 'requested', reference = NULL, decided_at = NULL WHERE number = 1",
        "the audit log has withdrawal_paid for number 1",
    ),
    "removed": ("DELETE FROM cashback_withdrawals WHERE number = 1", "no withdrawal or adjustment names"),
    "adjustment": ("UPDATE cashback_wallet_adjustments SET amount_cents = 11", "its transaction differs"),
    "adjustment removed": ("DELETE FROM cashback_wallet_adjustments", "no withdrawal or adjustment names"),
    "other member": ("UPDATE cashback_withdrawals SET user_id = 3 WHERE number = 1", "transaction of its request"),
}


@pytest.mark.parametrize("how", TAMPERING)
async def test_verify_finds_tampering(ledger: LedgerFixture, how: str) -> None:
    await wallet(ledger, 500, 500, 500)
    await pay(ledger, (await ask(ledger, 1, 100)).number)
    await ask(ledger, 2, 100)
    await adjust(ledger, 1, 10)
    assert (await ledger.verify()).balanced
    ledger.honest = False
    drop_guards(ledger.location)
    statement_, expected = TAMPERING[how]
    with raw(ledger.location) as connection:
        connection.executescript(statement_)
    breaches = (await ledger.verify()).breaches
    assert any(expected in breach for breach in breaches), breaches


@pytest.mark.parametrize("seed", first_of(range(4)))
async def test_whatever_happens_each_cent_is_held_asked_for_or_paid(ledger: LedgerFixture, seed: int) -> None:
    """An oracle that knows only the rules of a member: credits in, requests out, returns in."""
    chance = random.Random(seed)
    await wallet(ledger, 900, 700, 0 + 400)
    held, waiting, paid = {1: 900, 2: 700, 3: 400}, dict[int, tuple[int, int]](), {1: 0, 2: 0, 3: 0}
    for _ in range(40):
        member, cents = chance.randint(1, 3), chance.choice([1, 100, 333, 900, 2_000])
        what = chance.choice(["ask", "ask", "pay", "decline", "cancel", "adjust"])
        try:
            if what == "ask":
                number = (await ask(ledger, member, cents)).number
                assert member not in waiting
                assert held[member] >= cents
                held[member] -= cents
                waiting[member] = (number, cents)
            elif what == "adjust":
                change = chance.choice([1, -1]) * cents
                await adjust(ledger, member, change)
                held[member] += change
                assert held[member] >= 0
            else:
                number, cents = waiting.get(member, (chance.randint(1, 60), 0))
                await {"pay": pay, "decline": decline, "cancel": cancel}[what](ledger, number)
                assert waiting.pop(member)[0] == number
                (paid if what == "pay" else held)[member] += cents
        except CashbackError:
            refused = member in waiting or held[member] < cents if what in {"ask", "adjust"} else member not in waiting
            assert refused, (what, member, cents)
        assert {each: ledger.balance(each) for each in held} == held
    rows = ledger.rows("SELECT user_id, sum(amount_cents) FROM cashback_withdrawals WHERE status = 'paid' GROUP BY 1")
    assert {member: int(cents) for member, cents in rows} == {each: cents for each, cents in paid.items() if cents}
    assert (await ledger.verify()).balanced


async def test_audit_entries_name_the_withdrawal(ledger: LedgerFixture) -> None:
    await wallet(ledger, 500)
    await pay(ledger, (await ask(ledger, 1, 100)).number)
    [(details,)] = ledger.rows("SELECT details FROM cashback_audit_log WHERE action = 'withdrawal_paid'")
    told = json.loads(details)
    assert (told["withdrawal"], told["user_id"], told["amount_cents"], told["reference"]) == (1, 1, 100, "TX-1")


async def test_processes_that_decide_at_once_make_one_decision(
    ledger: LedgerFixture, open_database: OpenDatabase
) -> None:
    await wallet(ledger, 500)
    asked = await ask(ledger, 1, 300)
    outcomes: list[str] = []

    async def decide(how: str) -> None:
        async with open_database() as database:
            another = LedgerFixture(database, ledger.clock)
            try:
                await {"pay": pay, "decline": decline, "cancel": cancel}[how](another, asked.number)
                outcomes.append(how)
            except StaleBatchError:
                outcomes.append("late")

    async with anyio.create_task_group() as tasks:
        for how in ("pay", "decline", "cancel", "pay", "decline", "cancel"):
            tasks.start_soon(decide, how)
    assert outcomes.count("late") == 5
    assert ledger.balance(1) == (200 if "pay" in outcomes else 500)


async def test_processes_that_spend_one_wallet_at_once_take_it_once(
    ledger: LedgerFixture, open_database: OpenDatabase
) -> None:
    await wallet(ledger, 500)
    done: list[int] = []

    async def spend(cents: int) -> None:
        async with open_database() as database:
            another = LedgerFixture(database, ledger.clock)
            try:
                await (ask(another, 1, cents) if cents > 0 else adjust(another, 1, cents))
                done.append(abs(cents))
            except WithdrawalRefusedError:
                pass

    async with anyio.create_task_group() as tasks:
        for cents in (400, -400, 300, -300, 200, -200):
            tasks.start_soon(spend, cents)
    assert ledger.balance(1) == 500 - sum(done) >= 0
    assert len(ledger.rows("SELECT 1 FROM cashback_withdrawals")) <= 1
    assert done
