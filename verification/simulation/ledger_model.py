"""An independent model of the ledger. It implements the rules of the money, without SQL.

Earnings are exact fractions of a cent, and payable amounts are computed from the purchases each time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from cashback.domain.model import Absence, BatchStatus, PayoutStatus, SkipReason, SlotStatus

PPM: Final = 1_000_000
OPEN: Final = (BatchStatus.PROPOSED, BatchStatus.APPROVED, BatchStatus.RUNNING)


@dataclass(slots=True)
class Purchase:
    """A purchase; its part that was not refunded earns at its rate, and is payable from a moment on."""

    buyer: int
    cents: int
    rate_ppm: int = 0
    payable_at: datetime | None = None
    refunded: int = 0
    counts: bool = False
    """Whether it counts for a referral; a purchase before the referral does not."""

    @property
    def exact(self) -> Fraction:
        """Its earnings in cents, exactly."""
        return Fraction((self.cents - self.refunded) * self.rate_ppm, PPM)


@dataclass(slots=True)
class Referral:
    """A referral: referrer, referred member, the purchases, and what was paid of their earnings."""

    referrer: int
    referred: int
    purchases: list[Purchase] = field(default_factory=list)
    spend: int = 0
    exact: Fraction = Fraction(0)
    paid: int = 0
    elsewhere: int = 0
    unlinked: bool = False

    def add(self, purchase: Purchase) -> None:
        """Add a purchase of the referred member."""
        purchase.counts = True
        self.purchases.append(purchase)
        self.spend += purchase.cents
        self.exact += purchase.exact

    def take_back(self, purchase: Purchase, cents: int) -> None:
        """Refund a part of a purchase."""
        self.exact -= purchase.exact
        purchase.refunded += cents
        self.exact += purchase.exact
        self.spend -= cents

    @property
    def earned(self) -> int:
        """The whole cents that were earned."""
        return int(self.exact)

    def pending(self, now: datetime) -> int:
        """Return the whole cents that may be paid now; negative if more was paid than is earned."""
        held = (one.exact for one in self.purchases if one.payable_at is not None and one.payable_at > now)
        return int(self.exact - sum(held, Fraction())) - self.paid


@dataclass(slots=True)
class Payout:
    """One line of a plan, and its outcome."""

    approved: int
    status: PayoutStatus = PayoutStatus.PLANNED
    paid: int = 0
    reason: str | None = None
    taken_back: tuple[int, int] | None = None
    """The cents that a reversal took from the wallet, and those that the wallet did not hold."""


@dataclass(slots=True)
class Batch:
    """A plan, its proposer, and until when it may be approved."""

    proposed_by: str
    expires_at: datetime | None
    payouts: dict[int, Payout]
    needs_two: bool = False
    first_approved_by: str | None = None
    status: BatchStatus = BatchStatus.PROPOSED
    ends: int = 0


@dataclass(slots=True)
class Reversal:
    """Payouts to be reversed, the admin that proposed it, and until when it may be approved."""

    batch: int
    referrer: int | None
    proposed_by: str
    expires_at: datetime
    needs_two: bool
    first_approved_by: str | None = None
    is_open: bool = True


@dataclass(slots=True)
class LedgerModel:
    """The expected rows. `found` are the rule violations that a commit itself has shown."""

    min_payout_cents: int = 1
    referrals: list[Referral] = field(default_factory=list)
    referral_of: dict[int, Referral] = field(default_factory=dict)
    referrals_by: dict[int, list[Referral]] = field(default_factory=dict)
    barred: set[int] = field(default_factory=set)
    absent: dict[int, Absence] = field(default_factory=dict)
    orders: dict[str, Purchase] = field(default_factory=dict)
    refunds: set[str] = field(default_factory=set)
    balances: dict[int, int] = field(default_factory=dict)
    moves: list[tuple[int | None, int, int, int]] = field(default_factory=list)
    batches: dict[int, Batch] = field(default_factory=dict)
    reversals: dict[int, Reversal] = field(default_factory=dict)
    slots: dict[datetime, tuple[SlotStatus, int | None]] = field(default_factory=dict)
    paused: bool = False
    broken_wallet: int | None = None
    entitled: set[tuple[str, int]] = field(default_factory=set)
    """The members with the admin role at the moment of a press, and the batch pressed."""
    latest: datetime | None = None
    found: list[str] = field(default_factory=list)

    def breach(self, text: str) -> None:
        """Record a broken rule."""
        self.found.append(text)

    def require(self, holds: bool, text: str) -> None:  # noqa: FBT001 -- reads as an assertion
        """Record a broken rule, unless it holds."""
        if not holds:
            self.breach(text)

    def pending(self, referrer: int, now: datetime) -> int:
        """Return what a referrer would be paid now, in cents."""
        if referrer in self.barred:
            return 0
        return sum(max(one.pending(now), 0) for one in self.referrals_by.get(referrer, ()))

    def take(self, referrer: int, cents: int, now: datetime) -> Iterable[tuple[Referral, int]]:
        """Mark cents as paid, oldest referral first; return how much of each."""
        for one in self.referrals_by.get(referrer, ()):
            share = min(cents, one.pending(now))
            if share > 0:
                one.paid += share
                cents -= share
                yield one, share

    def plan(
        self, now: datetime, *, target: int | None = None, least: int = 1, hold_leavers: bool = False
    ) -> dict[int, Payout]:
        """Compute what a batch that is proposed now would pay."""
        people = self.referrals_by if target is None else {target}
        left_out = {Absence.GONE, Absence.LEFT} if hold_leavers else {Absence.GONE}
        wanted = sorted(person for person in people if self.absent.get(person) not in left_out)
        return {person: Payout(cents) for person in wanted if (cents := self.pending(person, now)) >= least}

    # The referral program.

    def refer(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Record referrals, once each."""
        for referrer, referred in pairs:
            if referrer != referred and referred not in self.referral_of:
                one = self.referral_of[referred] = Referral(referrer, referred)
                self.referrals.append(one)
                self.referrals_by.setdefault(referrer, []).append(one)
                for person in (referrer, referred):
                    self.balances.setdefault(person, 0)

    def buy(self, order: str, purchase: Purchase) -> int | None:
        """Record a purchase; return the whole cents that it earned, None if it earned nothing."""
        if order in self.orders:
            return None
        self.orders[order] = purchase
        one = self.referral_of.get(purchase.buyer)
        if one is not None and one.unlinked:
            one = None
        if one is None or one.referrer in self.barred:
            purchase.rate_ppm = 0
        if one is None:
            return None
        before = one.earned
        one.add(purchase)
        return one.earned - before if one.referrer not in self.barred else None

    def refund(self, order: str, refund_id: str, cents: int) -> int:
        """Refund a part of a purchase, each refund once; return the decrease of the earnings in whole cents."""
        if refund_id in self.refunds:
            return 0
        self.refunds.add(refund_id)
        purchase = self.orders[order]
        self.require(purchase.refunded + cents <= purchase.cents, f"more of {order} was refunded than was paid for it")
        if not purchase.counts:
            purchase.refunded += cents
            return 0
        one = self.referral_of[purchase.buyer]
        before = one.earned
        one.take_back(purchase, cents)
        return before - one.earned

    # Batches.

    def approve(self, number: int, actor: str, now: datetime, wait: timedelta) -> bool:
        """Approve a batch, or record the first of two approvals; an unauthorized or late approval is a violation.

        Return whether it is approved now.
        """
        batch = self.batches[number]
        self.require(batch.status is BatchStatus.PROPOSED, f"batch {number} was approved, it is {batch.status}")
        in_time = batch.expires_at is None or now < batch.expires_at
        self.require(in_time, f"batch {number} was approved at {now}, its deadline was {batch.expires_at}")
        first = batch.first_approved_by
        is_theirs = actor == batch.proposed_by if first is None else actor not in {batch.proposed_by, first}
        may = is_theirs and (actor, number) in self.entitled
        self.require(may, f"batch {number} was approved by {actor}, who may not")
        if batch.needs_two and first is None:
            batch.first_approved_by, batch.expires_at = actor, now + wait
            return False
        batch.status = BatchStatus.APPROVED
        return True

    def credit(self, number: int, first: int, last: int, now: datetime) -> tuple[int, int, int]:
        """Settle the planned payouts of a range; return how many were credited, their cents, and how many skipped."""
        batch = self.batches[number]
        self.require(batch.status is BatchStatus.RUNNING, f"batch {number} pays, it is {batch.status}")
        credited = cents = skipped = 0
        for person, payout in sorted(batch.payouts.items()):
            if not first <= person <= last or payout.status is not PayoutStatus.PLANNED:
                continue
            paid = min(payout.approved, self.pending(person, now))
            if paid <= 0:
                barred = person in self.barred
                payout.reason = SkipReason.BLACKLISTED if barred else SkipReason.NOTHING_PENDING
                payout.status = PayoutStatus.SKIPPED
                skipped += 1
                continue
            list(self.take(person, paid, now))
            self.move(number, person, paid)
            payout.status, payout.paid = PayoutStatus.CREDITED, paid
            credited, cents = credited + 1, cents + paid
        return credited, cents, skipped

    def settle_rest(self, number: int, before: PayoutStatus) -> None:
        """Abandon the payouts of a batch that are in a state; they are skipped, and the batch is closed."""
        batch = self.batches[number]
        for payout in batch.payouts.values():
            if payout.status is before:
                payout.status, payout.reason = PayoutStatus.SKIPPED, SkipReason.ABANDONED
        batch.status = BatchStatus.RUNNING
        self.finish(number)

    def finish(self, number: int) -> None:
        """Close a running batch."""
        batch = self.batches[number]
        states = {payout.status for payout in batch.payouts.values()}
        if batch.status is BatchStatus.RUNNING:
            self.require(PayoutStatus.PLANNED not in states, f"batch {number} was finished with payouts still planned")
            failed = PayoutStatus.FAILED in states
            batch.status = BatchStatus.COMPLETED_WITH_FAILURES if failed else BatchStatus.COMPLETED
            batch.ends += 1

    # Money leaving a wallet again.

    def move(self, batch: int | None, person: int, cents: int) -> None:
        """Move money into a wallet, or out of it."""
        self.balances[person] += cents
        self.moves.append((batch, person, cents, self.balances[person]))

    def reversible(self, batch: int, referrer: int | None) -> dict[int, Payout]:
        """Find the credited payouts of a batch, or of one referrer in it, that were not taken back."""
        return {
            person: payout
            for person, payout in sorted(self.batches[batch].payouts.items())
            if payout.status is PayoutStatus.CREDITED and payout.taken_back is None and referrer in {None, person}
        }

    def take_back(self, reversal: Reversal) -> tuple[int, int]:
        """Reverse payouts as far as the wallets hold them; return the cents taken, and the cents missing."""
        taken = missing = 0
        for person, payout in self.reversible(reversal.batch, reversal.referrer).items():
            held = min(payout.paid, max(self.balances[person], 0))
            payout.taken_back = (held, payout.paid - held)
            taken, missing = taken + held, missing + payout.paid - held
            if held:
                self.move(None, person, -held)
        reversal.is_open = False
        return taken, missing

    def open_batches(self) -> list[int]:
        """List the unfinished batches."""
        return [number for number, batch in self.batches.items() if batch.status in OPEN]
