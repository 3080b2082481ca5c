"""The state machine's rules of the wallets: withdrawals, adjustments and auto-withdrawals next to their model.

The model is the simulation's; here each refusal is foreseen as well, so nothing more and nothing less may be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cashback.database.wallets import adjustments, auto_withdrawals, decisions, withdrawals
from cashback.domain.errors import (
    CashbackError,
    NotAllowedError,
    SecondApproverError,
    StaleBatchError,
    WithdrawalRefusedError,
)
from cashback.domain.withdrawals import WithdrawalStatus
from tests.cashback.database.model import Model
from tests.cashback.database.model_service import ModelService
from verification.simulation.wallet_model import Request

Refusal = type[CashbackError] | None
"""The error with which something must be refused; None if it must be done."""

THRESHOLD_CENTS: Final = 300
MEMBERS = st.integers(1, 3)
METHODS = st.sampled_from(["paypal", "gift-card"])
ADMINS = st.sampled_from([101, 102, 1])
"""The last one is a member too."""
WHICH = st.integers(0, 2)
DECISIONS: Final = {"is approved": "approve", "is paid out": "pay", "is declined": "decline"}
WALLET_EVENTS: Final = ("withdraws", "wants it each time", "is sent it", "is exported", *DECISIONS)


class WalletRules(RuleBasedStateMachine):
    """Does to wallets and to their model the same, and compares."""

    model: Model
    service: ModelService

    def attempt(self, refusal: Refusal, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- of any transaction
        """Run one transaction, which must be refused with this error, or must be done."""
        if refusal is None:
            return self.service.write(function, *args, now=self.service.clock(), **kwargs)
        with pytest.raises(CashbackError) as refused:
            self.service.write(function, *args, now=self.service.clock(), **kwargs)
        assert type(refused.value) is refusal, refused.value
        return None

    @rule(member=MEMBERS, share=st.integers(1, 3), more=st.sampled_from([0, 0, 1]), method=METHODS)
    def ask(self, member: int, share: int, more: int, method: str) -> None:
        held = self.model.balances.get(member, 0)
        cents = held // share + more
        is_refused = cents <= 0 or cents > held or self.model.wallets.open_of(member) is not None
        asked = self.attempt(
            WithdrawalRefusedError if is_refused else None,
            withdrawals.request,
            user_id=member,
            cents=cents,
            method=method,
            destination=None,
            actor=f"discord:{member}",
            approval_threshold_cents=THRESHOLD_CENTS,
        )
        if asked is not None:
            assert asked.number == len(self.model.wallets.requests) + 1
            self.model.ask(asked.number, member, cents, method, THRESHOLD_CENTS)

    def pick_request(self, which: int) -> tuple[int, Request]:
        """Pick one of the newest requests."""
        numbers = sorted(self.model.wallets.requests, reverse=True)
        number = numbers[which % len(numbers)]
        return number, self.model.wallets.requests[number]

    @precondition(lambda self: self.model.wallets.requests)
    @rule(which=WHICH, admin=ADMINS, act=st.sampled_from(["approve", "pay", "decline"]), is_old=st.booleans())
    def decide(self, which: int, admin: int, act: str, *, is_old: bool) -> None:
        """Decide as an admin that was shown the request, or one of another amount by an old message."""
        number, one = self.pick_request(which)
        shown = self.service.read(withdrawals.find, number)
        actor = f"discord:{admin}"
        known = {"actor": actor, "approver_id": admin, "version": f"9{shown.version}" if is_old else shown.version}
        refusal: Refusal = self._why_undecidable(one, admin, act)
        if is_old:
            refusal = StaleBatchError
        if act == "approve":
            self.attempt(refusal, decisions.approve_first, number, **known)
        elif act == "pay":
            self.attempt(refusal, decisions.pay, number, reference="T", **known)
        else:
            self.attempt(refusal, decisions.decline, number, reason="no", **known)
        if refusal is None:
            self.model.decide(number, act, actor)

    @staticmethod
    def _why_undecidable(one: Request, admin: int, act: str) -> Refusal:
        misses_first = one.needs_two and one.first_approved_by is None
        if one.status is not WithdrawalStatus.REQUESTED:
            return StaleBatchError
        if one.member == admin:
            return NotAllowedError
        if act != "decline" and misses_first != (act == "approve"):
            return StaleBatchError if act == "approve" or misses_first else None
        is_same = act == "pay" and one.first_approved_by == f"discord:{admin}"
        return SecondApproverError if is_same else None

    @precondition(lambda self: self.model.wallets.requests)
    @rule(which=WHICH)
    def cancel_request(self, which: int) -> None:
        number, one = self.pick_request(which)
        refusal: Refusal = None if one.status is WithdrawalStatus.REQUESTED else StaleBatchError
        if refusal is None and number in self.model.exported:
            refusal = WithdrawalRefusedError
        actor = f"discord:{one.member}"
        self.attempt(refusal, decisions.cancel, number, reason="no", actor=actor)
        if refusal is None:
            self.model.decide(number, "cancel", None)

    @precondition(lambda self: self.model.wallets.requests)
    @rule()
    def export_requests(self) -> None:
        ready = [each for each in self.service.read(withdrawals.queue) if not each.needs_first_approval]
        self.attempt(None, withdrawals.record_export, ready, actor="cli")
        self.model.exported |= {each.number for each in ready}
        self.model.audit.append(("withdrawals_exported", None))

    @rule(member=MEMBERS, cents=st.sampled_from([-400, -50, 50, 400]), admin=ADMINS, second=st.none() | ADMINS)
    def adjust(self, member: int, cents: int, admin: int, second: int | None) -> None:
        needs_two = abs(cents) >= THRESHOLD_CENTS
        refusal: Refusal = None
        if member in {admin, second}:
            refusal = NotAllowedError
        elif needs_two and second in {None, admin}:
            refusal = SecondApproverError
        elif member not in self.model.balances:
            refusal = CashbackError
        elif self.model.balances[member] + cents < 0:
            refusal = WithdrawalRefusedError
        balance = self.attempt(
            refusal,
            adjustments.adjust,
            user_id=member,
            cents=cents,
            reason="a mistake",
            actor=f"discord:{admin}",
            actor_id=admin,
            approver_id=second,
            approval_threshold_cents=THRESHOLD_CENTS,
        )
        if refusal is None:
            self.model.wallets.adjust(member, cents, {admin, second} - {None}, needs_two=needs_two)
            self.model.audit.append(("wallet_adjusted", None))
            assert balance == self.model.balances[member]

    @rule(member=MEMBERS, method=METHODS)
    def switch_on(self, member: int, method: str) -> None:
        self.attempt(None, auto_withdrawals.switch_on, member, method, None, actor="cli")
        self.model.balances.setdefault(member, 0)
        self.model.wallets.sent_each_time.setdefault(member, {})
        self.model.wishes[member] = method
        self.model.audit.append(("auto_withdrawal_set", None))

    @rule(member=MEMBERS)
    def switch_off(self, member: int) -> None:
        was_on = self.model.wishes.pop(member, None) is not None
        self.model.wallets.sent_each_time.pop(member, None)
        assert self.attempt(None, auto_withdrawals.switch_off, member, actor="cli") == was_on
        self.model.audit += [("auto_withdrawal_ended", None)] * was_on

    @rule(least=st.sampled_from([1, 300]), most=st.sampled_from([None, 400]))
    def send_each_time(self, least: int, most: int | None) -> None:
        """Send what is due, as the process that pays does."""
        for member, unsent in self.model.wallets.sent_each_time.items():
            number = self.model.wallets.open_of(member)
            waiting = None if number is None else self.service.read(withdrawals.find, number)
            is_same_way = waiting is not None and waiting.method == self.model.wishes[member]
            room = sum(unsent.values()) if most is None else most - (0 if waiting is None else waiting.amount_cents)
            cents = min(sum(unsent.values()), self.model.balances[member], room)
            is_sent = cents >= least if number is None else cents > 0 and self._may_grow(number) and is_same_way
            sent = self.attempt(
                None,
                auto_withdrawals.send,
                member,
                adds_to=waiting.version if waiting is not None and is_same_way else None,
                minimum_cents=least,
                maximum_cents=most,
                approval_threshold_cents=THRESHOLD_CENTS,
            )
            assert (sent is not None) == is_sent
            self.model.send(member, sent, (least, most), THRESHOLD_CENTS)

    def _may_grow(self, number: int) -> bool:
        """Return whether no admin has begun with a request."""
        return self.model.wallets.requests[number].first_approved_by is None and number not in self.model.exported

    def act_on_wallets(self, event: str, person: int) -> None:
        """Do one of WALLET_EVENTS, with what it needs chosen so that it is rarely refused."""
        if event == "withdraws":
            self.ask(person, share=2, more=0, method="paypal")
        elif event == "wants it each time":
            self.switch_on(person, method="paypal")
        elif event == "is sent it":
            self.send_each_time(least=1, most=None)
        elif event == "is exported":
            self.export_requests()
        elif self.model.wallets.requests:
            admin = 1 if person > 2 else 100 + person
            self.decide(0, admin, DECISIONS[event], is_old=False)
            self.send_each_time(least=1, most=None)

    @invariant()
    def wallets_are_the_model(self) -> None:
        model = self.model
        assert model.wallets.found == []
        assert self.service.rows(
            "SELECT number, user_id, method, amount_cents, status, first_approved_by,"
            " needs_second_approver IS NOT NULL, exported_at IS NOT NULL FROM cashback_withdrawals ORDER BY number"
        ) == [
            (
                *(number, one.member, model.methods[number], one.cents, one.status, one.first_approved_by),
                *(one.needs_two, number in model.exported),
            )
            for number, one in sorted(model.wallets.requests.items())
        ]
        adjusted = "SELECT user_id, amount_cents FROM cashback_wallet_adjustments ORDER BY transaction_id"
        assert self.service.rows(adjusted) == model.wallets.adjusted
        assert dict(self.service.rows("SELECT user_id, method FROM cashback_auto_withdrawals")) == model.wishes
        told = "SELECT event, user_id, amount_cents FROM cashback_webhook_deliveries ORDER BY id"
        assert self.service.rows(told) == model.events

    @invariant()
    def no_cent_is_lost_or_twice(self) -> None:
        """By what entered and left: what a member was credited is in the wallet, requested, or paid."""
        left = self.service.rows(
            "SELECT user_id, sum(amount_cents) FROM cashback_withdrawals WHERE status IN ('requested', 'paid')"
            " GROUP BY user_id"
        )
        entered = self.service.rows(
            "SELECT member, sum(cents) FROM ("
            "SELECT referrer_id AS member, paid_cents AS cents FROM cashback_payouts"
            " UNION ALL SELECT referrer_id, -amount_cents FROM cashback_payout_reversals"
            " UNION ALL SELECT user_id, amount_cents FROM cashback_wallet_adjustments) GROUP BY 1"
        )
        held = dict.fromkeys(self.model.balances, 0) | dict(entered)
        for member, cents in left:
            held[member] -= cents
        assert held == dict(self.service.rows("SELECT discord_id, wallet_balance_cents FROM users"))
        assert min(held.values(), default=0) >= 0
