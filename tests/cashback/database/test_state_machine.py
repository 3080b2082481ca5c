"""The ledger next to a model of it: whatever is done in whatever order, rows and model agree and the books balance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from cashback.database.integrity import reconciliation
from cashback.database.payouts import approvals, crediting, lapsing, proposals, retries, reversals, runs
from cashback.database.referral_program import blacklist, purchases, referrals, refunds
from cashback.database.referral_program.pending import all_pending, mark_paid
from cashback.domain.errors import BlacklistedError, CashbackError, NothingPendingError, StaleBatchError
from cashback.domain.model import BatchLimits, BatchStatus, BatchSummary, ChunkDiscovered, PayoutStatus
from tests.cashback.database.model import PPM, Batch, Model, Order, Referral
from tests.cashback.database.model_service import ModelService
from tests.cashback.database.wallet_rules import WALLET_EVENTS, WalletRules
from tests.examples import examples

CONFIRM_SECONDS: Final = 120
REFERRERS = st.integers(1, 3)
PEOPLE = st.integers(1, 8)
AMOUNTS = st.sampled_from([250, 199, 999, 1, 0])
RATES = st.sampled_from([PPM, 333_333, 5_000, 0])
ORDERS = st.integers(1, 40).map(str)
HOLDING_DAYS = st.sampled_from([0, 0, 1])
REFUNDS = st.integers(1, 8).map(str)
EVENTS = st.tuples(
    st.sampled_from(
        [
            *("waits", "buys", "gives back", "is paid elsewhere", "is blacklisted", "is not blacklisted"),
            *("is paid", "is paid", "is reversed", *WALLET_EVENTS),
        ]
    ),
    st.integers(1, 5),
)
WHICH = st.integers(0, 2)
"""A batch, counted back from the newest."""


class LedgerMachine(WalletRules):
    """Does to a real file and to the model the same, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.service.open()
        self.write, self.read, self.rows = self.service.write, self.service.read, self.service.rows
        self.clock = self.service.clock

    def teardown(self) -> None:
        """See at the end that the books balance, and close the file."""
        try:
            verdict = self.read(reconciliation.verify)
        finally:
            self.service.close()
        assert (verdict.breaches, verdict.remarks) == ((), ())

    # Members and purchases.

    @initialize(referrers=st.lists(REFERRERS, min_size=3, max_size=7), wishes=st.sets(REFERRERS))
    def begin(self, referrers: list[int], wishes: set[int]) -> None:
        for referred, referrer in enumerate(referrers, start=2):
            self.refer(referrer, referred)
            self.purchase(f"first-{referred}", referred, 250, PPM)
        for member in sorted(wishes & self.model.balances.keys()):
            self.adjust(member, 400, 101, 102)
            self.switch_on(member, "paypal")

    @rule(referrer=REFERRERS, referred=PEOPLE)
    def refer(self, referrer: int, referred: int) -> None:
        if referrer == referred or self.model.referral_to(referred):
            with pytest.raises(RuntimeError, match="refer"):
                self.write(referrals.create_referral, referrer, referred, self.clock())
            return
        if self.model.is_above(referred, referrer):
            with pytest.raises(RuntimeError, match="a referral loop is refused"):
                self.write(referrals.create_referral, referrer, referred, self.clock())
            return
        self.write(referrals.create_referral, referrer, referred, self.clock())
        self.model.referrals.append(Referral(referrer, referred))
        for person in (referrer, referred):
            self.model.balances.setdefault(person, 0)

    @rule(order=ORDERS, buyer=PEOPLE, amount=AMOUNTS, rate_ppm=RATES, days=HOLDING_DAYS)
    def purchase(self, order: str, buyer: int, amount: int, rate_ppm: int, days: int = 0) -> None:
        bought = purchases.Purchase(order_id=order, buyer_id=buyer, amount_cents=amount)

        def log() -> int | None:
            return self.write(purchases.log_purchase, bought, rate_ppm, self.clock(), holding_days=days)

        known = self.model.orders.get(order)
        if known is not None and (known.buyer, known.amount) != (buyer, amount):
            with pytest.raises(CashbackError, match="known with another buyer or amount"):
                log()
            return
        earned = log()
        if known is not None:
            assert earned is None
            return
        referral = self.model.referral_to(buyer)
        earns = referral is not None and referral.referrer not in self.model.blacklisted
        payable_at = self.clock() + timedelta(days=days) if days and amount and earns else None
        place = (payable_at or self.clock(), order)
        self.model.orders[order] = Order(buyer, amount, rate_ppm if earns else 0, payable_at, place)
        if referral is None:
            assert earned is None
            return
        before = referral.earned_ppm() // PPM
        referral.orders.append(self.model.orders[order])
        assert earned == (referral.earned_ppm() // PPM - before if earns else None)

    @rule(order=ORDERS | st.sampled_from([f"first-{n}" for n in range(2, 9)]), share=st.integers(1, 3), key=REFUNDS)
    def refund(self, order: str, share: int, key: str) -> None:
        """Refund a third, half or all of an order, under an id that may be known already."""
        bought = self.model.orders.get(order)
        cents = max(1, bought.amount // share) if bought else 1
        told = refunds.Refund(order_id=order, amount_cents=cents, refund_id=key)

        def record() -> refunds.RecordedRefund:
            return self.write(refunds.record_refund, told, actor="cli", now=self.clock())

        if bought is None:
            with pytest.raises(CashbackError, match="is not known"):
                record()
        elif key in self.model.refunds and self.model.refunds[key] != (order, cents):
            with pytest.raises(CashbackError, match="is known with another order or amount"):
                record()
        elif key in self.model.refunds:
            assert record().outcome is refunds.RefundOutcome.REPEATED
        elif cents > bought.amount - bought.refunded:
            with pytest.raises(CashbackError, match="refund"):
                record()
        else:
            record()
            referral = self.model.referral_to(bought.buyer)
            if referral is not None and bought in referral.orders:
                referral.refund(bought, cents, self.clock())
            else:
                bought.refunded += cents
            self.model.refunds[key] = (order, cents)
            self.model.audit.append(("purchase_refunded", None))

    @rule(person=REFERRERS, back=st.booleans())
    def blacklist_or_back(self, person: int, *, back: bool) -> None:
        if back:
            self.unblacklist(person)
        else:
            self.blacklist(person)

    def blacklist(self, person: int) -> None:
        done = self.write(blacklist.blacklist, person, reason=None, actor="cli", now=self.clock())
        assert done == (person not in self.model.blacklisted)
        self.model.blacklisted.add(person)
        self.model.audit += [("blacklisted", None)] * done

    def unblacklist(self, person: int) -> None:
        done = self.write(blacklist.unblacklist, person, actor="cli", now=self.clock())
        assert done == (person in self.model.blacklisted)
        self.model.blacklisted.discard(person)
        self.model.audit += [("unblacklisted", None)] * done

    @rule(person=REFERRERS, share=st.integers(1, 3), more=st.booleans())
    def mark_paid_elsewhere(self, person: int, share: int, *, more: bool) -> None:
        pending = self.model.pending(person, self.clock())
        cents = pending + 1 if more else pending // share
        if not 0 < cents <= pending:
            with pytest.raises(CashbackError, match="cannot be marked as paid"):
                self.write(mark_paid, person, cents, self.clock())
            return
        self.write(mark_paid, person, cents, self.clock())
        for referral, taken in self.model.take(person, cents, self.clock()):
            referral.elsewhere += taken
        self.model.audit.append(("paid_elsewhere", None))

    # Batches.

    @rule(payee=st.none() | st.none() | REFERRERS)
    def propose(self, payee: int | None) -> None:
        # No purchase is recorded in the same moment.
        self.clock.advance(0.001)
        now = self.clock()
        self.clock.advance(0.001)
        expires_at = now + timedelta(seconds=CONFIRM_SECONDS)

        def propose() -> BatchSummary:
            return self.write(proposals.propose, actor="cli", now=now, expires_at=expires_at, target_user_id=payee)

        everyone = {one.referrer for one in self.model.referrals}
        wanted = everyone if payee is None else {payee}
        payouts = self.model.plan(wanted, now)
        if payee in self.model.blacklisted:
            with pytest.raises(BlacklistedError):
                propose()
        elif not payouts:
            with pytest.raises(NothingPendingError):
                propose()
        else:
            summary = propose()
            planned = sum(payout.approved for payout in payouts.values())
            assert (summary.users, summary.total_cents) == (len(payouts), planned)
            self.model.batches[summary.batch_number] = Batch(expires_at, payouts)
            self.model.audit.append(("batch_proposed", summary.batch_number))

    @rule(seconds=st.sampled_from([1, 60, 119, 120, 86_400, 14 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def pick(self, which: int) -> tuple[int, Batch]:
        """Pick one of the newest batches."""
        numbers = sorted(self.model.batches, reverse=True)
        number = numbers[which % len(numbers)]
        return number, self.model.batches[number]

    @precondition(lambda self: self.model.batches)
    @rule(which=WHICH)
    def approve(self, which: int) -> None:
        number, batch = self.pick(which)
        if batch.status != BatchStatus.PROPOSED or self.clock() >= batch.expires_at:
            with pytest.raises(StaleBatchError):
                self.write(approvals.approve, number, actor="cli", now=self.clock())
            return
        self.write(approvals.approve, number, actor="cli", now=self.clock())
        self.model.move(number, BatchStatus.APPROVED, "batch_approved")
        batch.lapses_at = self.clock() + approvals.VALID

    @precondition(lambda self: self.model.batches)
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        number, batch = self.pick(which)
        if batch.status != BatchStatus.PROPOSED:
            with pytest.raises(StaleBatchError):
                self.write(proposals.cancel, number, actor="cli", now=self.clock())
            return
        self.write(proposals.cancel, number, actor="cli", now=self.clock())
        self.model.move(number, BatchStatus.CANCELLED, "batch_cancelled")

    @rule()
    def expire(self) -> None:
        overdue = [
            number
            for number, batch in sorted(self.model.batches.items())
            if batch.status == BatchStatus.PROPOSED and batch.expires_at <= self.clock()
        ]
        assert sorted(self.write(proposals.expire, now=self.clock())) == overdue
        for number in overdue:
            self.model.move(number, BatchStatus.EXPIRED, "batch_expired")

    @rule()
    def lapse(self) -> None:
        lapsed = self.model.lapse(self.clock())
        assert self.write(lapsing.lapse_due, now=self.clock()) == lapsed

    @precondition(lambda self: self.model.batches)
    @rule(which=WHICH)
    def start(self, which: int) -> None:
        number, batch = self.pick(which)
        may = batch.status in {BatchStatus.APPROVED, BatchStatus.RUNNING}
        if may and batch.is_lapsed(self.clock()):
            with pytest.raises(StaleBatchError, match="lapsed at"):
                self.write(runs.start, number, now=self.clock())
            return
        started = self.write(runs.start, number, now=self.clock())
        assert (started is runs.Start.RUNNING) == may
        if may:
            batch.status = BatchStatus.RUNNING

    @precondition(lambda self: self.model.batches)
    @rule(which=WHICH, after=st.integers(0, 2), size=st.integers(1, 4))
    def credit(self, which: int, after: int, size: int) -> None:
        number, batch = self.pick(which)
        planned = [person for person in batch.planned() if person > after][:size]
        found = self.read(crediting.next_chunk, number, after_referrer_id=after, size=size)
        if not planned:
            assert found is None
            return
        chunk = ChunkDiscovered(batch_number=number, first_referrer_id=planned[0], last_referrer_id=planned[-1])
        if batch.status != BatchStatus.RUNNING:
            assert found is None
            with pytest.raises(StaleBatchError):
                self.write(crediting.credit_chunk, chunk, now=self.clock())
            return
        assert found == chunk
        if batch.is_lapsed(self.clock()):
            with pytest.raises(StaleBatchError, match="has lapsed"):
                self.write(crediting.credit_chunk, chunk, now=self.clock())
            return
        done = self.write(crediting.credit_chunk, chunk, now=self.clock())
        assert (done.credited, done.credited_cents, done.skipped) == self.model.credit(number, planned, self.clock())
        again = self.write(crediting.credit_chunk, chunk, now=self.clock())
        assert (again.credited, again.credited_cents, again.skipped) == (0, 0, 0)

    @precondition(lambda self: self.running())
    @rule(which=WHICH, person=REFERRERS)
    def fail(self, which: int, person: int) -> None:
        number = self.running()[which % len(self.running())]
        payout = self.model.batches[number].payouts.get(person)
        may = payout is not None and payout.status == PayoutStatus.PLANNED
        assert self.write(crediting.fail_payout, number, person, reason="no", now=self.clock()) == int(may)
        if payout is not None and may:
            payout.status, payout.reason = PayoutStatus.FAILED, "no"

    def running(self) -> list[int]:
        """List the running batches."""
        return [number for number, batch in self.model.batches.items() if batch.status == BatchStatus.RUNNING]

    @precondition(lambda self: self.model.batches)
    @rule(which=WHICH)
    def finish(self, which: int) -> None:
        number, batch = self.pick(which)
        states = {payout.status for payout in batch.payouts.values()}
        if PayoutStatus.PLANNED in states and batch.status not in {BatchStatus.STOPPED, BatchStatus.LAPSED}:
            with pytest.raises(StaleBatchError):
                self.write(runs.finish, number, now=self.clock())
            return
        report = self.write(runs.finish, number, now=self.clock())
        failed = PayoutStatus.FAILED in states
        if batch.status == BatchStatus.RUNNING:
            status = BatchStatus.COMPLETED_WITH_FAILURES if failed else BatchStatus.COMPLETED
            self.model.move(number, status, "batch_finished")
        assert (report.status, report.total_cents) == (batch.status, sum(p.paid for p in batch.payouts.values()))

    @precondition(lambda self: self.model.batches)
    @rule(which=WHICH, then=st.sampled_from(["resume", "give up", "nothing"]))
    def stop(self, which: int, then: str) -> None:
        """Stop a batch, and perhaps decide at once what becomes of the rest."""
        number, batch = self.pick(which)
        planned = [p for p in batch.payouts.values() if p.status == PayoutStatus.PLANNED]
        if batch.status not in {BatchStatus.APPROVED, BatchStatus.RUNNING} or not planned:
            with pytest.raises(StaleBatchError):
                self.write(runs.stop, number, actor="cli", now=self.clock())
        else:
            self.write(runs.stop, number, actor="cli", now=self.clock())
            self.model.move(number, BatchStatus.STOPPED, "batch_stopped")
        if then == "give up":
            self.abandon(which)
        elif then == "resume":
            self.resume(which)

    def resume(self, which: int) -> None:
        number, batch = self.pick(which)
        if batch.status != BatchStatus.STOPPED or batch.is_lapsed(self.clock()):
            with pytest.raises(StaleBatchError):
                self.write(runs.resume, number, actor="cli", now=self.clock())
            return
        self.write(runs.resume, number, actor="cli", now=self.clock())
        self.model.move(number, BatchStatus.RUNNING, "batch_resumed")

    def abandon(self, which: int) -> None:
        number, batch = self.pick(which)
        lost = {
            BatchStatus.STOPPED: PayoutStatus.PLANNED,
            BatchStatus.COMPLETED_WITH_FAILURES: PayoutStatus.FAILED,
        }.get(BatchStatus(batch.status))
        if lost is None:
            with pytest.raises(StaleBatchError):
                self.write(runs.abandon, number, actor="cli", now=self.clock())
            return
        self.write(runs.abandon, number, actor="cli", now=self.clock())
        for payout in batch.payouts.values():
            if payout.status == lost:
                payout.status, payout.reason = PayoutStatus.SKIPPED, "given_up"
        self.model.audit.append(("batch_given_up", number))
        failed = any(payout.status == PayoutStatus.FAILED for payout in batch.payouts.values())
        status = BatchStatus.COMPLETED_WITH_FAILURES if failed else BatchStatus.COMPLETED
        self.model.move(number, status, "batch_finished")

    @precondition(lambda self: self.model.batches)
    @rule(which=WHICH)
    def retry(self, which: int) -> None:
        number, batch = self.pick(which)
        if batch.status != BatchStatus.COMPLETED_WITH_FAILURES or batch.is_lapsed(self.clock()):
            with pytest.raises(StaleBatchError):
                self.write(retries.begin, number, actor="cli", why=None, now=self.clock())
            return
        failed = [payout for payout in batch.payouts.values() if payout.status == PayoutStatus.FAILED]
        assert self.write(retries.begin, number, actor="cli", why=None, now=self.clock()) == len(failed)
        for payout in failed:
            payout.status, payout.reason = PayoutStatus.PLANNED, None
        self.model.move(number, BatchStatus.RUNNING, "retry_started")

    @precondition(lambda self: self.model.batches)
    @rule(which=WHICH, person=st.none() | REFERRERS)
    def take_back(self, which: int, person: int | None) -> None:
        """Take back what was credited to one, or to all of a batch, as far as the wallets hold it."""
        number, batch = self.pick(which)
        settled = batch.status in reversals.SETTLED
        credited = self.model.reversible(number, person, self.clock())

        def propose() -> int:
            expires_at = self.clock() + timedelta(seconds=CONFIRM_SECONDS)
            return self.write(
                reversals.propose,
                batch_number=number,
                referrer_id=person,
                reason="a mistake",
                actor="cli",
                now=self.clock(),
                expires_at=expires_at,
                terms=BatchLimits(),
            ).number

        if not settled or not credited:
            with pytest.raises(StaleBatchError):
                propose()
            return
        reversal = propose()
        done = self.write(reversals.approve, reversal, actor="cli", now=self.clock())
        assert (done.reversed_cents, done.shortfall_cents) == self.model.take_back(number, credited, self.clock())
        with pytest.raises(StaleBatchError):
            self.write(reversals.approve, reversal, actor="cli", now=self.clock())

    @rule(happening=st.lists(EVENTS, min_size=1, max_size=8), size=st.integers(1, 4))
    def go_on(self, happening: list[tuple[str, int]], size: int) -> None:
        """Take the steps that come next, with something between them, so that finished batches are not rare.

        Hypothesis leaves some rules out of each example; this one alone gets a batch to its end.
        """
        acts: dict[str, Callable[[int], None]] = {
            "buys": lambda person: self.purchase(f"extra-{len(self.model.orders)}", person, 250, PPM),
            "gives back": lambda one: self.refund(f"first-{one + 1}", 2, f"given-back-{len(self.model.refunds)}"),
            "is paid elsewhere": lambda person: self.mark_paid_elsewhere(person, share=2, more=False),
            "is blacklisted": self.blacklist,
            "is not blacklisted": self.unblacklist,
            "is reversed": self.reverse_newest,
            "is paid": self.pay_at_once,
        }
        for event, person in happening:
            if event in acts:
                acts[event](person)
            elif event in WALLET_EVENTS:
                self.act_on_wallets(event, person)
            self.take_next_step(size)

    def pay_at_once(self, person: int) -> None:
        """Let a member buy, and settle batches until nothing is pending."""
        self.purchase(f"extra-{len(self.model.orders)}", person, 250, PPM)
        for _ in range(2 * len(("propose", "approve", "start", "credit", "finish"))):
            self.take_next_step(size=4)

    def reverse_newest(self, which: int) -> None:
        """Reverse one of the batches that are settled, if there is one."""
        newest_first = sorted(self.model.batches.items(), reverse=True)
        settled = [place for place, (_, batch) in enumerate(newest_first) if batch.status in reversals.SETTLED]
        if settled:
            self.take_back(settled[which % len(settled)], None)

    def take_next_step(self, size: int) -> None:
        """Bring the newest batch that is not settled one step on, or propose one."""
        unsettled = {BatchStatus.PROPOSED, BatchStatus.APPROVED, BatchStatus.RUNNING}
        newest_first = sorted(self.model.batches.items(), reverse=True)
        open_ones = [(which, batch) for which, (_, batch) in enumerate(newest_first) if batch.status in unsettled]
        if not open_ones:
            self.propose(None)
            return
        which, batch = open_ones[0]
        if batch.status == BatchStatus.PROPOSED and self.clock() >= batch.expires_at:
            self.expire()
        elif batch.is_lapsed(self.clock()):
            self.lapse()
        elif batch.status == BatchStatus.PROPOSED:
            self.approve(which)
        elif batch.status == BatchStatus.APPROVED:
            self.start(which)
        elif batch.planned():
            self.credit(which, after=0, size=size)
        else:
            self.finish(which)

    # What always holds.

    @invariant()
    def rows_are_the_model(self) -> None:
        model = self.model
        assert self.rows(
            "SELECT referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents,"
            " cashback_paid_cents, cashback_forfeited_cents, cashback_charged_cents, cashback_paid_elsewhere_cents,"
            " cashback_carry_ppm FROM referrals ORDER BY id"
        ) == [
            (
                *(r.referrer, r.referred, r.spend, r.earned_ppm() // PPM, r.paid, r.given_back, r.charged, r.elsewhere),
                r.earned_ppm() % PPM,
            )
            for r in model.referrals
        ]
        assert dict(self.rows("SELECT discord_id, wallet_balance_cents FROM users")) == model.balances
        assert (
            self.rows(
                "SELECT cashback_payout_batch_number, user_discord_id, amount_cents, balance_after_cents"
                " FROM wallet_transactions ORDER BY id"
            )
            == model.moves
        )
        assert dict(self.rows("SELECT number, status FROM cashback_payout_batches")) == {
            number: batch.status for number, batch in model.batches.items()
        }
        assert self.rows(
            "SELECT batch_number, referrer_id, approved_cents, status, paid_cents, reason FROM cashback_payouts"
            " ORDER BY 1, 2"
        ) == [
            (number, person, payout.approved, payout.status, payout.paid, payout.reason)
            for number, batch in sorted(model.batches.items())
            for person, payout in sorted(batch.payouts.items())
        ]
        assert sorted(self.rows("SELECT batch_number, user_id FROM cashback_notifications")) == sorted(
            (number, person) for number, person, _, _ in model.moves if number is not None
        )
        assert self.rows("SELECT action, batch_number FROM cashback_audit_log ORDER BY id") == model.audit
        pending = {person: cents for person in model.balances if (cents := model.pending(person, self.clock()))}
        listed = self.read(all_pending, self.clock())
        assert {one["referrer_id"]: one["pending_cents"] for one in listed} == pending

    @invariant()
    def cashback_is_taken_once(self) -> None:
        """By what entered and left the wallets: nobody owes more than they have, nor has less than they earned."""
        now = self.clock()
        has: dict[int, int] = {}
        for batch in self.model.batches.values():
            for payout in batch.payouts.values():
                for share in payout.shares:
                    has[share.one.referred] = has.get(share.one.referred, 0) + share.paid - share.returned
        for one in self.model.referrals:
            assert one.kept == has.get(one.referred, 0) + one.elsewhere >= one.owed(now) >= 0
            assert one.kept + one.given_back - one.owed(now) + one.pending(now) <= one.earned_ppm() // PPM

    @invariant()
    def rules_of_the_money_hold(self) -> None:
        paid, earned = self.rows("SELECT sum(cashback_paid_cents), sum(cashback_earned_cents) FROM referrals")[0]
        assert self.rows(
            "SELECT batch_number, referrer_id, charged_cents, forfeited_cents FROM cashback_payout_shares"
            " WHERE charged_cents + forfeited_cents > 0 ORDER BY 1, 2, referral_id"
        ) == [
            (number, person, share.charged, share.forfeited)
            for number, batch in sorted(self.model.batches.items())
            for person, payout in sorted(batch.payouts.items())
            for share in payout.shares
            if share.charged + share.forfeited
        ]
        [(taken,)] = self.rows("SELECT coalesce(sum(taken_cents), 0) FROM cashback_referral_refunds")
        assert paid <= earned + taken
        assert self.rows("SELECT 1 FROM cashback_payouts WHERE paid_cents > approved_cents") == []
        assert self.rows("SELECT 1 FROM cashback_payouts WHERE paid_cents > 0 AND status <> 'credited'") == []
        [(moved, wallets)] = self.rows(
            "SELECT (SELECT coalesce(sum(amount_cents), 0) FROM wallet_transactions),"
            " (SELECT coalesce(sum(wallet_balance_cents), 0) FROM users)"
        )
        assert moved == wallets


@pytest.mark.timeout(300)
@pytest.mark.property
def test_rows_and_model_agree_after_any_actions(tmp_path: Path) -> None:
    with asyncio.Runner() as loop:
        LedgerMachine.service = ModelService(tmp_path, loop)
        run_state_machine_as_test(
            LedgerMachine,
            settings=settings(
                max_examples=examples(25),
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
