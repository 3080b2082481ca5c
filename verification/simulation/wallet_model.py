"""The wallets of the ledger model: what members ask for, what admins decide, and what is corrected by hand.

Judged from the member's side: what is asked for left the wallet at once, and is returned or paid, once.
"""

from dataclasses import dataclass, field
from typing import Final

from cashback.domain.withdrawals import WithdrawalStatus

OPEN: Final = WithdrawalStatus.REQUESTED


@dataclass(slots=True)
class Request:
    """A withdrawal: its member, the amount that left the wallet, and what became of it."""

    member: int
    cents: int
    needs_two: bool
    version: str = ""
    first_approved_by: str | None = None
    status: WithdrawalStatus = OPEN


@dataclass(slots=True)
class Wallets:
    """The balances, each change of one, and the withdrawals by their numbers. `found` has broken rules."""

    balances: dict[int, int]
    moves: list[tuple[int | None, int, int, int]]
    requests: dict[int, Request] = field(default_factory=dict)
    adjusted: list[tuple[int, int]] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    sent_each_time: dict[int, dict[int, int]] = field(default_factory=dict)
    """By the members that wish it: what is still to be sent of their payouts, by batch."""

    def move(self, batch: int | None, person: int, cents: int) -> None:
        """Move money into a wallet, or out of it."""
        self.balances[person] += cents
        self.moves.append((batch, person, cents, self.balances[person]))
        if batch is not None and person in self.sent_each_time:
            self.sent_each_time[person][batch] = cents

    def reverse(self, batch: int, person: int, cents: int) -> None:
        """Take a payout out of the wallet: it is not sent any more."""
        self.move(None, person, -cents)
        unsent = self.sent_each_time.get(person, {})
        if batch in unsent:
            unsent[batch] -= cents

    def send(
        self, member: int, told: tuple[int, int] | None, limits: tuple[int, int | None], threshold: int | None
    ) -> None:
        """Send a member's payouts. `told` are the request's number and amount afterwards, None if nothing was sent."""
        unsent = self.sent_each_time.get(member, {})
        number = self.open_of(member)
        asked = 0 if number is None else self.requests[number].cents
        least, most = limits
        amount = min(
            sum(unsent.values()), self.balances[member], self.balances[member] if most is None else most - asked
        )
        if told is None:
            self._require(number is not None or amount < max(least, 1), f"{amount} cents of {member} were not sent")
            if sum(unsent.values()) <= 0:
                unsent.clear()
            return
        self._require(
            told[1] == asked + amount and amount > 0, f"{member} was sent {told[1]} cents, not {asked + amount}"
        )
        unsent.clear()
        if number is None:
            self._require(amount >= least, f"{amount} cents of {member} were sent below the minimum")
            self.ask(told[0], member, amount, threshold)
            return
        one = self.requests[number]
        self._require(one.first_approved_by is None, f"withdrawal {number} was approved, and was added to")
        self.move(None, member, -amount)
        one.cents += amount
        one.needs_two = one.needs_two or (threshold is not None and one.cents >= threshold)

    def open_of(self, member: int) -> int | None:
        """Return the number of a member's open request."""
        return next((n for n, one in self.requests.items() if one.member == member and one.status is OPEN), None)

    def ask(self, number: int, member: int, cents: int, threshold: int | None) -> None:
        """Take an amount out of a wallet into a request."""
        self.balances.setdefault(member, 0)
        self._require(number not in self.requests, f"withdrawal {number} was there already")
        self._require(self.open_of(member) is None, f"{member} has two open withdrawals")
        self._require(
            0 < cents <= self.balances[member], f"{member} asked for {cents} of {self.balances[member]} cents"
        )
        self.requests[number] = Request(member, cents, needs_two=threshold is not None and cents >= threshold)
        self.move(None, member, -cents)

    def approve(self, number: int, actor: str) -> None:
        """Record the first of two approvals."""
        one = self._decided(number, actor)
        self._require(one.needs_two and one.first_approved_by is None, f"withdrawal {number} needed no first approval")
        one.first_approved_by = actor

    def pay(self, number: int, actor: str) -> None:
        """Record that a request was paid: nothing moves."""
        one = self._decided(number, actor)
        self._require(
            not one.needs_two or one.first_approved_by not in {None, actor},
            f"withdrawal {number} needs two admins, {one.first_approved_by} and {actor} paid it",
        )
        one.status = WithdrawalStatus.PAID

    def give_back(self, number: int, actor: str | None, status: WithdrawalStatus) -> None:
        """Return a request's amount to the wallet. `actor` is None if no admin decided it."""
        one = self._decided(number, actor)
        one.status = status
        self.move(None, one.member, one.cents)

    def cancel_all_of(self, members: set[int]) -> None:
        """Cancel the open requests of some members, in the order of their numbers."""
        for number in sorted(n for n, one in self.requests.items() if one.status is OPEN and one.member in members):
            self.give_back(number, None, WithdrawalStatus.CANCELLED)

    def adjust(self, member: int, cents: int, admins: set[int | None], *, needs_two: bool) -> None:
        """Correct a wallet."""
        self._require(self.balances.get(member, 0) + cents >= 0, f"the wallet of {member} fell below zero by {cents}")
        self._require(member not in admins, f"{member} adjusted the own wallet")
        self._require(not needs_two or len(admins) > 1, f"{admins} adjusted the wallet of {member} alone")
        self.adjusted.append((member, cents))
        self.move(None, member, cents)

    def _decided(self, number: int, actor: str | None) -> Request:
        one = self.requests[number]
        self._require(one.status is OPEN, f"withdrawal {number} is {one.status} and was decided again")
        own = actor is not None and actor.endswith(f":{one.member}")
        self._require(not own, f"{actor} decided on the own withdrawal {number}")
        return one

    def _require(self, holds: bool, text: str) -> None:  # noqa: FBT001 -- reads as an assertion
        if not holds:
            self.found.append(text)
