"""The seven rules of the money. Each test fails when its rule is broken."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable

import anyio
import pytest

from cashback.background.outbox_dispatcher import OutboxDispatcher
from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.database.payouts import approvals, crediting, outbox, proposals, runs
from cashback.database.referral_program.refunds import Refund, record_refund
from cashback.domain.errors import CashbackError, DatabaseUnavailableError, StaleBatchError
from cashback.domain.model import BatchStatus, ChunkDiscovered, Delivery, DeliveryStatus, PayoutNotice
from tests.conftest import FRIDAY, REFUSED, Clock, LedgerFixture, OpenDatabase, drop_guards, raw, run_batches

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run on both: all of this is pure anyio."""
    return str(request.param)


on_one_backend = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
"""For what the file alone decides."""


class Crash(Exception):  # noqa: N818 -- it stands for the end of the process
    """The process ends here."""


# 1. Cents are integers, rates are exact, and what is below a cent is carried.


@on_one_backend
async def test_a_thousand_purchases_of_199_cents_earn_995_cents_to_the_cent(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    earned = [await ledger.database.log_referral_purchase(2, order, 199, 0.5) for order in range(1, 1001)]
    assert set(earned) == {0, 1}
    assert sum(cents or 0 for cents in earned) == 995
    assert await ledger.pending(1) == 995
    assert (await ledger.pay()).total_cents == 995
    assert ledger.balance(1) == 995


async def test_a_rate_that_no_float_holds_is_exact(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    assert await ledger.database.log_referral_purchase(2, "one", 20_000, 0.57) == 114


async def test_the_carry_survives_a_payout(ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    assert await ledger.database.log_referral_purchase(2, "one", 399, 0.5) == 1
    await ledger.pay()
    assert await ledger.database.log_referral_purchase(2, "two", 1, 0.5) == 1


# 2. One payout is one unit.


@pytest.mark.parametrize("writes", [1, 2, 3])
async def test_an_end_before_the_commit_leaves_nothing_of_the_transaction(
    ledger: LedgerFixture, open_database: OpenDatabase, writes: int
) -> None:
    """Writes of a run: the start of the batch, its one chunk, its close."""
    await ledger.earn_all((referrer, 100) for referrer in range(1, 6))
    number = await ledger.approved()
    before = ledger.money()
    left = iter(range(writes - 1, -1, -1))

    def failpoint(moment: str) -> None:
        if moment == "before commit" and not next(left):
            raise Crash

    async with open_database(failpoint=failpoint) as crashing:
        interrupted = await run_batches(crashing, number)
    assert [batch for batch, _ in interrupted.interruptions] == [number]
    if writes < 3:
        assert ledger.money() == before
    recorder = await ledger.run(number)
    assert recorder.reports[0].total_cents == 500
    assert [ledger.balance(referrer) for referrer in range(1, 6)] == [100] * 5


async def test_a_bad_row_fails_alone_in_a_chunk_of_500(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100 + referrer) for referrer in range(1, 501))
    with raw(ledger.location) as connection:
        connection.execute(
            "CREATE TRIGGER bad_row BEFORE UPDATE OF wallet_balance_cents ON users WHEN OLD.discord_id = 250"
            " BEGIN SELECT RAISE(ABORT, 'wallet is broken'); END"
        )
    number = await ledger.approved()
    report = (await ledger.run(number, chunk_size=500)).reports[0]
    assert (report.users_paid, report.failed, report.skipped) == (499, 1, 0)
    assert report.status is BatchStatus.COMPLETED_WITH_FAILURES
    [failure] = report.failures
    assert (failure.referrer_id, failure.approved_cents) == (250, 350)
    assert "wallet is broken" in failure.reason
    assert await ledger.pending(250) == 350
    assert ledger.rows("SELECT count(*) FROM wallet_transactions WHERE user_discord_id = 250") == [(0,)]
    assert ledger.rows("SELECT count(*) FROM cashback_notifications WHERE user_id = 250") == [(0,)]
    with raw(ledger.location) as connection:
        connection.execute("DROP TRIGGER bad_row")
    assert (await ledger.pay()).total_cents == 350


@on_one_backend
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT ON wallet_transactions WHEN NEW.user_discord_id = 2",
        "UPDATE OF cashback_paid_cents ON referrals WHEN OLD.referrer_user_id = 2",
        "UPDATE OF wallet_balance_cents ON users WHEN OLD.discord_id = 2",
        "INSERT ON cashback_notifications WHEN NEW.user_id = 2",
        "UPDATE ON cashback_payouts WHEN OLD.referrer_id = 2 AND NEW.status = 'credited'",
    ],
)
async def test_a_payout_that_fails_at_any_of_its_rows_leaves_none_of_them(
    ledger: LedgerFixture, statement: str
) -> None:
    await ledger.earn_all((referrer, 10) for referrer in (1, 2, 3))
    number = await ledger.approved()
    with raw(ledger.location) as connection:
        connection.execute(f"CREATE TRIGGER bad BEFORE {statement} BEGIN SELECT RAISE(ABORT, 'no'); END")
    await ledger.run(number)
    assert [status for _, status, _, _ in ledger.payouts(number)] == ["credited", "failed", "credited"]
    assert [ledger.balance(referrer) for referrer in (1, 2, 3)] == [10, 0, 10]
    assert await ledger.pending(2) == 10
    assert ledger.rows("SELECT user_discord_id FROM wallet_transactions") == [(1,), (3,)]
    assert ledger.rows("SELECT user_id FROM cashback_notifications") == [(1,), (3,)]


@pytest.mark.about_a_file("what a disk says; tests/cashback/database/test_postgresql.py has what a server does")
async def test_a_database_that_is_away_ends_the_run_and_fails_nobody(
    ledger: LedgerFixture, open_database: OpenDatabase
) -> None:
    await ledger.earn_all((referrer, 10) for referrer in range(1, 6))
    number = await ledger.approved()
    broken: list[bool] = []

    def failpoint(moment: str) -> None:
        if moment == "before commit":
            broken.append(True)
            if len(broken) > 2:
                message = "disk I/O error"
                raise sqlite3.OperationalError(message)

    async with open_database(failpoint=failpoint) as failing:
        interrupted = await run_batches(failing, number, chunk_size=2)
    [(_, reason)] = interrupted.interruptions
    assert "check the disk, then resume" in reason
    assert sorted(status for _, status, _, _ in ledger.payouts(number)) == ["credited"] * 2 + ["planned"] * 3
    assert (await ledger.report(number)).status is BatchStatus.RUNNING
    assert (await ledger.run(number)).reports[0].users_paid == 5


# 3. A payout pays what was approved, and never more than is owed at that moment.


async def test_a_purchase_between_summary_and_confirm_stays_pending(ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 100)
    summary = await ledger.propose()
    await ledger.buy([(buyer, 40)])
    await ledger.earn(1, 7)
    await ledger.approve(summary.batch_number)
    assert (await ledger.run(summary.batch_number)).reports[0].total_cents == 100
    assert await ledger.pending(1) == 47


async def test_no_more_is_paid_than_is_still_pending(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 60, 40)
    number = await ledger.approved()
    await ledger.database.mark_cashback_paid(1, 70)
    report = (await ledger.run(number)).reports[0]
    assert (report.approved_cents, report.total_cents) == (100, 30)
    assert ledger.balance(1) == 30
    assert await ledger.pending(1) == 0


async def test_purchase_after_the_summary_stays_pending(ledger: LedgerFixture) -> None:
    first, second, third = await ledger.earn(1, 50, 50, 50)
    summary = await ledger.propose()
    await ledger.buy([(first, 30)])
    await ledger.approve(summary.batch_number)
    await ledger.run(summary.batch_number)
    details = await ledger.database.get_referrals(1)
    assert [one["referred_user_id"] for one in details] == [first, second, third]
    assert [one["cashback_paid_cents"] for one in details] == [50, 50, 50]
    assert (await ledger.database.get_pending_cashback_for_user(1))["pending_cents"] == 30


async def test_who_was_blacklisted_after_the_summary_is_skipped_with_the_reason(ledger: LedgerFixture) -> None:
    await ledger.database.share("an Apex Core bot")
    await ledger.earn_all((referrer, 100) for referrer in (1, 2, 3))
    number = await ledger.approved()
    await ledger.database.blacklist_referral_user(2)
    with raw(ledger.location) as connection:  # as an Apex Core bot does it
        connection.execute("UPDATE referrals SET is_blacklisted = 1 WHERE referrer_user_id = 3")
    report = (await ledger.run(number)).reports[0]
    assert (report.users_paid, report.skipped) == (1, 2)
    assert ledger.payouts(number)[1:] == [(2, "skipped", 0, "blacklisted"), (3, "skipped", 0, "blacklisted")]
    assert (ledger.balance(2), ledger.balance(3)) == (0, 0)


async def test_where_nothing_is_left_owed_the_payout_is_skipped(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    await ledger.database.mark_cashback_paid(1, 100)
    report = (await ledger.run(number)).reports[0]
    assert (report.users_paid, report.skipped, report.status) == (0, 1, BatchStatus.COMPLETED)
    assert ledger.payouts(number) == [(1, "skipped", 0, "nothing_pending")]


# 4. Twice is impossible.


async def test_second_confirm_is_refused_and_credits_nothing(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    summary = await ledger.propose()
    await ledger.approve(summary.batch_number)
    with pytest.raises(StaleBatchError, match="confirmed already by cli as BATCH-20260703-150000"):
        await ledger.approve(summary.batch_number)
    first = await ledger.run(summary.batch_number)
    again = await ledger.run(summary.batch_number)
    # A batch that is handed in twice answers with the report that it has.
    assert (again.reports, again.chunks, again.interruptions) == (first.reports, [], [])
    assert ledger.balance(1) == 100
    assert ledger.rows("SELECT count(*) FROM cashback_audit_log WHERE action = 'batch_finished'") == [(1,)]


async def test_a_batch_that_nobody_approved_is_not_run(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number = (await ledger.propose()).batch_number
    recorder = await ledger.run(number)
    assert recorder.reports == []
    assert "proposed, not approved" in recorder.interruptions[0][1]
    assert ledger.balance(1) == 0


async def test_of_many_confirms_at_once_one_wins(ledger: LedgerFixture, open_database: OpenDatabase) -> None:
    await ledger.earn(1, 100)
    number = (await ledger.propose()).batch_number
    won: list[str | None] = []
    lost: list[str] = []

    async def confirm(database: Database, actor: str) -> None:
        try:
            won.append(await database.write(approvals.approve, number, actor=actor, now=FRIDAY))
        except StaleBatchError as error:
            lost.append(str(error))

    async with open_database() as one, open_database() as other, anyio.create_task_group() as tasks:
        for click in range(10):
            tasks.start_soon(confirm, (one, other)[click % 2], f"discord:{click}")
    assert (len(won), len(lost)) == (1, 9)
    assert ledger.rows("SELECT count(*) FROM cashback_audit_log WHERE action = 'batch_approved'") == [(1,)]


async def test_overlapping_proposals_pay_once(ledger: LedgerFixture) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2, 3))
    first, second = await ledger.approved(), await ledger.approved()
    recorder = await ledger.run(first, second)
    assert [report.total_cents for report in recorder.reports] == [300, 0]
    assert recorder.reports[1].skipped == 3
    assert [ledger.balance(referrer) for referrer in (1, 2, 3)] == [100] * 3


@pytest.mark.parametrize("chunk_size", [1, 7])
async def test_two_programs_that_run_one_batch_at_once_pay_it_once(
    ledger: LedgerFixture, open_database: OpenDatabase, chunk_size: int
) -> None:
    await ledger.earn_all((referrer, referrer) for referrer in range(1, 41))
    number = await ledger.approved()
    async with open_database() as one, open_database() as other, anyio.create_task_group() as tasks:
        for database in (one, other):
            tasks.start_soon(functools.partial(run_batches, database, number, chunk_size=chunk_size))
    assert [ledger.balance(referrer) for referrer in range(1, 41)] == list(range(1, 41))
    report = await ledger.report(number)
    assert (report.status, report.users_paid, report.total_cents) == (BatchStatus.COMPLETED, 40, 820)
    assert ledger.rows("SELECT count(*) FROM cashback_audit_log WHERE action = 'batch_finished'") == [(1,)]


async def test_a_chunk_that_is_credited_a_second_time_finds_nothing(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    await ledger.earn(2, 5)
    number = await ledger.approved()
    await ledger.database.write(runs.start, number, now=FRIDAY)
    chunk = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=1)
    first = await ledger.database.write(crediting.credit_chunk, chunk, now=FRIDAY)
    second = await ledger.database.write(crediting.credit_chunk, chunk, now=FRIDAY)
    assert (first.credited, second.credited) == (1, 0)
    assert ledger.balance(1) == 100


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_nobody_approved_is_not_paid(ledger: LedgerFixture, *, cancelled: bool) -> None:
    await ledger.earn(1, 100)
    number = (await ledger.propose()).batch_number
    if cancelled:
        await ledger.database.write(proposals.cancel, number, actor="cli", now=FRIDAY)
    recorder = await ledger.run(number)
    assert "was not run" in recorder.interruptions[0][1]
    chunk = ChunkDiscovered(batch_number=number, first_referrer_id=1, last_referrer_id=1)
    with pytest.raises(StaleBatchError):
        await ledger.database.write(crediting.credit_chunk, chunk, now=FRIDAY)
    assert ledger.balance(1) == 0


@on_one_backend
@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
            " cashback_payout_batch_number) VALUES (1, 100, 200, 'referral_cashback', 1)"
        ),
        (
            "INSERT INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count) VALUES (1, 1,"
            " 100, 1)"
        ),
        "INSERT INTO cashback_notifications (batch_number, user_id) VALUES (1, 1)",
        "UPDATE referrals SET cashback_paid_cents = cashback_earned_cents + 1",
        "UPDATE cashback_payouts SET paid_cents = approved_cents + 1",
        (
            "INSERT INTO cashback_payout_batches (mode, status, proposed_by, proposed_at, batch_id)"
            " SELECT mode, status, proposed_by, proposed_at, batch_id FROM cashback_payout_batches"
        ),
    ],
)
async def test_constraints_refuse_a_second_payment(ledger: LedgerFixture, statement: str) -> None:
    await ledger.earn(1, 100)
    await ledger.pay()
    with raw(ledger.location) as connection, pytest.raises(REFUSED):
        connection.execute(statement)


async def test_one_schedule_slot_is_one_batch(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)

    async def propose() -> None:
        await ledger.database.write(proposals.propose, actor="schedule", now=FRIDAY, expires_at=None, slot_at=FRIDAY)

    await propose()
    with pytest.raises(CashbackError):
        await propose()
    assert ledger.rows("SELECT count(*) FROM cashback_payout_batches") == [(1,)]


# 5. The books are only ever added to.


@on_one_backend
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_transactions SET amount_cents = 1",
        "UPDATE wallet_transactions SET transaction_type = 'gift'",
        "DELETE FROM wallet_transactions",
        "UPDATE cashback_payout_batches SET credited_cents = 0",
        "UPDATE cashback_payout_batches SET status = 'running'",
        "DELETE FROM cashback_payout_batches",
        "UPDATE cashback_payouts SET status = 'planned', paid_cents = 0",
        "DELETE FROM cashback_payouts",
        "UPDATE cashback_audit_log SET actor = 'nobody'",
        "DELETE FROM cashback_audit_log",
    ],
)
async def test_triggers_refuse_to_change_or_remove_what_is_settled(ledger: LedgerFixture, statement: str) -> None:
    await ledger.earn(1, 100)
    await ledger.pay()
    with raw(ledger.location) as connection, pytest.raises(REFUSED, match=r"only ever added to|never changed"):
        connection.execute(statement)


async def test_transactions_of_other_kinds_are_the_other_bots_to_change(ledger: LedgerFixture) -> None:
    await ledger.database.ensure_user(1)
    await ledger.database.share("another bot")
    with raw(ledger.location) as connection:
        connection.execute(
            "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
            " VALUES (1, 0, 0, 'purchase')"
        )
        connection.execute("UPDATE wallet_transactions SET description = 'changed'")
        assert connection.execute("DELETE FROM wallet_transactions").rowcount == 1


# 6. A direct message is a side effect.


class Refuses:
    """A messenger that fails in one way."""

    def __init__(self, status: DeliveryStatus) -> None:
        self._status = status

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Fail."""
        return Delivery(status=self._status, reason="no")


@pytest.mark.parametrize("status", [DeliveryStatus.UNDELIVERABLE, DeliveryStatus.RETRY])
async def test_direct_messages_that_fail_never_touch_the_payout(ledger: LedgerFixture, status: DeliveryStatus) -> None:
    await ledger.earn_all((referrer, 100) for referrer in (1, 2))
    number = (await ledger.pay()).batch_number
    money = {table: rows for table, rows in ledger.money().items() if table != "cashback_notifications"}
    dispatcher = OutboxDispatcher(ledger.database, Refuses(status), WakeUp(), per_second=1e9, retry_attempts=0)
    assert await dispatcher.deliver_due() == 2
    assert {table: rows for table, rows in ledger.money().items() if table != "cashback_notifications"} == money
    report = await ledger.report(number)
    assert (report.status, report.total_cents) == (BatchStatus.COMPLETED, 200)
    assert report.dm_undeliverable + report.dm_failed == 2


async def test_a_direct_message_is_queued_by_the_commit_that_pays(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100, 50)
    number = await ledger.approved()
    assert await ledger.database.read(outbox.due, now=FRIDAY, limit=10) == []
    await ledger.run(number)
    [notice] = await ledger.database.read(outbox.due, now=FRIDAY, limit=10)
    assert (notice.user_id, notice.amount_cents, notice.referral_count, notice.balance_after_cents) == (1, 150, 2, 150)


async def test_who_wants_no_direct_messages_is_paid_without(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    with raw(ledger.location) as connection:
        connection.execute("INSERT INTO cashback_notification_preferences (user_id, payout_dm) VALUES (1, 0)")
    report = await ledger.pay()
    assert (report.total_cents, report.dm_muted, report.dm_queued) == (100, 1, 0)


# 7. `verify` proves it all from the rows.
# `tests/verification/tampering/` has the catalogue of edits that it finds.


@on_one_backend
@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        (
            "UPDATE cashback_referral_purchases SET refunded_cents = 5 WHERE order_id = 'order-1'",
            "order order-1 is marked as refunded by 5 cents, its refunds make 0",
        ),
        (
            "UPDATE cashback_referral_purchases SET refunded_cents = 0 WHERE order_id = 'order-2'",
            "order order-2 is marked as refunded by 0 cents, its refunds make 50",
        ),
        (
            (
                "UPDATE cashback_referral_purchases SET payable_at = '2026-07-05 15:00:00.000000' WHERE order_id ="
                " 'order-1'"
            ),
            "referral 1 is held until None, a purchase of it until 2026-07-05 15:00:00+00:00",
        ),
        (
            (
                "UPDATE cashback_referral_purchases SET payable_at = '2026-07-05 15:00:00.000000' WHERE order_id"
                " = 'order-1';"
                "UPDATE referrals SET cashback_held_until = '2026-07-04 15:00:00.000000' WHERE id = 1"
            ),
            "referral 1 is held until 2026-07-04 15:00:00+00:00, a purchase of it until 2026-07-05 15:00:00+00:00",
        ),
    ],
)
async def test_verify_tells_what_is_refunded_or_held_otherwise_than_it_stands(
    ledger: LedgerFixture, tampering: str, told: str
) -> None:
    await ledger.earn_all([(1, 100), (2, 200)])
    await ledger.database.write(
        record_refund, Refund(order_id="order-2", amount_cents=50), actor="cli", now=ledger.clock()
    )
    assert (await ledger.verify()).balanced
    drop_guards(ledger.location)
    with raw(ledger.location) as connection:
        connection.executescript(tampering)
    assert told in (await ledger.verify()).breaches
    ledger.honest = False


async def test_verify_finds_a_payout_that_stands_for_no_referral(ledger: LedgerFixture) -> None:
    """The referral is gone with all that it earned: only the payout still shows it."""
    await ledger.earn_all([(1, 100), (2, 200)])
    await ledger.pay()
    drop_guards(ledger.location)
    with raw(ledger.location) as connection:
        connection.executescript(
            "DELETE FROM cashback_referral_purchases WHERE amount_cents = 200; DELETE FROM referrals WHERE"
            " referrer_user_id = 2"
        )
    assert (await ledger.verify()).breaches == (
        "referral 2 was credited 200 cents, 0 are marked as paid",
        "share of batch 1 to 2 is of referral 2, which is not of that member",
    )
    ledger.honest = False


async def test_verify_finds_a_consistent_raise_of_payout_transaction_balance_and_totals(ledger: LedgerFixture) -> None:
    """The audit entry of the batch's end still has what was paid."""
    await ledger.earn(1, 100)
    await ledger.pay()
    drop_guards(ledger.location)
    with raw(ledger.location) as connection:
        connection.executescript(
            "UPDATE cashback_payouts SET paid_cents = 150, approved_cents = 150;"
            "UPDATE wallet_transactions SET amount_cents = 150, balance_after_cents = 150;"
            "UPDATE users SET wallet_balance_cents = 150 WHERE discord_id = 1;"
            "UPDATE referrals SET cashback_earned_cents = 150, cashback_paid_cents = 150;"
            "UPDATE cashback_payout_batches SET planned_cents = 150, credited_cents = 150;"
        )
    assert not (await ledger.verify()).balanced
    ledger.honest = False


async def test_verify_holds_in_every_state_of_a_batch(
    ledger: LedgerFixture, open_database: OpenDatabase, clock: Clock
) -> None:
    async def holds() -> None:
        verdict = await ledger.verify()
        assert verdict.breaches == ()
        assert verdict.remarks == ()

    await holds()
    await ledger.earn_all((referrer, 100) for referrer in range(1, 6))
    await holds()
    expired = await ledger.propose()
    clock.advance(121)
    await ledger.database.write(proposals.expire, now=clock())
    await holds()
    assert (await ledger.report(expired.batch_number)).status is BatchStatus.EXPIRED
    number = await ledger.approved()
    await holds()
    crash: list[Callable[[], None]] = []

    def failpoint(moment: str) -> None:
        crash.append(lambda: None)
        if len(crash) == 6:
            raise Crash

    async with open_database(failpoint=failpoint) as crashing:
        await run_batches(crashing, number, chunk_size=2)
    assert (await ledger.report(number)).status is BatchStatus.RUNNING
    assert 0 < (await ledger.report(number)).users_paid < 5
    await holds()
    await ledger.run(number, chunk_size=2)
    verdict = await ledger.verify()
    assert (verdict.payouts_checked, verdict.credited_cents) == (5, 500)


async def test_money_is_not_moved_by_a_program_whose_file_is_closed(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 100)
    number = await ledger.approved()
    await ledger.database.close()
    recorder = await ledger.run(number)
    assert "is not open" in recorder.interruptions[0][1]
    with pytest.raises(DatabaseUnavailableError):
        await ledger.verify()
    await ledger.database.connect()
    assert ledger.balance(1) == 0
