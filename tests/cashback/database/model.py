"""What the ledger must hold, in dicts and lists: knows the rules of the money, and nothing of SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cashback.domain.model import BatchStatus, PayoutStatus

PPM = 1_000_000


@dataclass(slots=True)
class Order:
    """A purchase. `rate_ppm` is 0 if it earns nothing; `payable_at` is None if payable at once."""

    buyer: int
    amount: int
    rate_ppm: int
    payable_at: datetime | None
    refunded: int = 0


@dataclass(slots=True)
class Referral:
    """A referral. Earnings are not stored here: they follow from the orders, to the millionth of a cent."""

    referrer: int
    referred: int
    orders: list[Order] = field(default_factory=list)
    paid: int = 0
    elsewhere: int = 0

    @property
    def spend(self) -> int:
        """Return what the member spent, less refunds."""
        return sum(order.amount - order.refunded for order in self.orders)

    def earned_ppm(self, payable_by: datetime | None = None) -> int:
        """Return all earnings, or their payable part, in millionths of a cent."""
        return sum(
            (order.amount - order.refunded) * order.rate_ppm
            for order in self.orders
            if payable_by is None or order.payable_at is None or order.payable_at <= payable_by
        )

    def pending(self, now: datetime) -> int:
        """Return what is to be paid; zero if a refund took back what was paid."""
        return max(0, self.earned_ppm(now) // PPM - self.paid)


@dataclass(slots=True)
class Payout:
    approved: int
    status: str = PayoutStatus.PLANNED
    paid: int = 0
    reason: str | None = None
    is_reversed: bool = False


@dataclass(slots=True)
class Batch:
    expires_at: datetime
    payouts: dict[int, Payout]
    status: str = BatchStatus.PROPOSED

    def planned(self) -> list[int]:
        """List the unsettled referrers, in key order."""
        return sorted(person for person, payout in self.payouts.items() if payout.status == PayoutStatus.PLANNED)


@dataclass(slots=True)
class Model:
    """The whole ledger."""

    referrals: list[Referral] = field(default_factory=list)
    blacklisted: set[int] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    refunds: dict[str, tuple[str, int]] = field(default_factory=dict)
    balances: dict[int, int] = field(default_factory=dict)
    moves: list[tuple[int | None, int, int, int]] = field(default_factory=list)
    batches: dict[int, Batch] = field(default_factory=dict)
    audit: list[tuple[str, int | None]] = field(default_factory=list)

    def move(self, number: int, status: str, action: str) -> None:
        """Move a batch to another state, with the entry that the audit log gets."""
        self.batches[number].status = status
        self.audit.append((action, number))

    def of(self, referrer: int) -> list[Referral]:
        """List a referrer's referrals, oldest first."""
        return [one for one in self.referrals if one.referrer == referrer]

    def referral_to(self, referred: int) -> Referral | None:
        """Find the referral that brought a member."""
        return next((one for one in self.referrals if one.referred == referred), None)

    def is_above(self, upper: int, member: int) -> bool:
        """Return whether a member referred another, directly or through others."""
        referral = self.referral_to(member)
        return referral is not None and (referral.referrer == upper or self.is_above(upper, referral.referrer))

    def pending(self, referrer: int, now: datetime) -> int:
        """Return what a referrer would be paid now."""
        if referrer in self.blacklisted:
            return 0
        return sum(one.pending(now) for one in self.of(referrer))

    def take(self, referrer: int, cents: int, now: datetime) -> list[tuple[Referral, int]]:
        """Mark cents as paid, oldest referral first; return how much of each."""
        taken = []
        for one in self.of(referrer):
            share = min(cents, one.pending(now))
            one.paid += share
            cents -= share
            taken.append((one, share))
        assert not cents
        return taken

    def credit(self, number: int, referrers: list[int], now: datetime) -> tuple[int, int, int]:
        """Settle planned payouts; return credited, cents, skipped."""
        paid: list[int] = []
        for referrer in sorted(referrers):
            payout = self.batches[number].payouts[referrer]
            cents = min(payout.approved, self.pending(referrer, now))
            if not cents:
                payout.status = PayoutStatus.SKIPPED
                payout.reason = "blacklisted" if referrer in self.blacklisted else "nothing_pending"
                continue
            self.take(referrer, cents, now)
            self.balances[referrer] += cents
            self.moves.append((number, referrer, cents, self.balances[referrer]))
            payout.status, payout.paid = PayoutStatus.CREDITED, cents
            paid.append(cents)
        return len(paid), sum(paid), len(referrers) - len(paid)

    def take_back(self, number: int, people: list[int]) -> tuple[int, int]:
        """Reverse credited payouts as far as each wallet holds them; return the cents taken and the cents missing."""
        reversed_cents = shortfall = 0
        for person in people:
            payout = self.batches[number].payouts[person]
            cents = min(payout.paid, self.balances[person])
            self.balances[person] -= cents
            if cents:
                self.moves.append((None, person, -cents, self.balances[person]))
            payout.is_reversed = True
            reversed_cents += cents
            shortfall += payout.paid - cents
        self.audit += [("reversal_proposed", number), ("payouts_reversed", number)]
        return reversed_cents, shortfall
