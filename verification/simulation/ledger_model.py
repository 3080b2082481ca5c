"""An independent model of the ledger. It implements the rules of the money, without SQL.

Earnings are exact fractions of a cent, and payable amounts are computed from the purchases each time. What a member has
of a referral is what entered the wallet for it less what left it again; next to that stands what they gave back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from cashback.domain.model import Absence, BatchStatus, PayoutStatus, SkipReason, SlotStatus
from verification.simulation.wallet_model import Wallets

PPM: Final = 1_000_000
UNPAID: Final = (
    BatchStatus.APPROVED,
    BatchStatus.RUNNING,
    BatchStatus.STOPPED,
    BatchStatus.COMPLETED_WITH_FAILURES,
)
BROKEN: Final = "this wallet is broken"
"""What a wallet that is broken on purpose says. Nothing else here refuses a payout that the program would make."""

OPEN: Final = (BatchStatus.PROPOSED, BatchStatus.APPROVED, BatchStatus.RUNNING)


@dataclass(slots=True)
class Purchase:
    """A purchase; its part that was not refunded earns at its rate, and is payable from a moment on."""

    buyer: int
    cents: int
    rate_ppm: int = 0
    payable_at: datetime | None = None
    order: str = ""
    recorded_at: datetime | None = None
    refunded: int = 0
    counts: bool = False
    """Whether it counts for a referral; a purchase before the referral does not."""
    asked_rate_ppm: int = 0
    """The rate of the day on which it was recorded; it earns at that if its referral comes later."""
    waits: bool = False
    """Whether its buyer had no referral when it was recorded."""

    def is_after(self, moment: datetime | None) -> bool:
        """Return whether it was made after a moment; None is no moment at all."""
        return moment is not None and self.recorded_at is not None and self.recorded_at > moment

    @property
    def exact(self) -> Fraction:
        """Its earnings in cents, exactly."""
        return Fraction((self.cents - self.refunded) * self.rate_ppm, PPM)

    @property
    def place(self) -> tuple[datetime, str]:
        """Its place among the purchases of its referral, in the order in which they became payable."""
        became_payable = self.payable_at or self.recorded_at
        assert became_payable is not None  # noqa: S101 -- who records one knows when
        return became_payable, self.order


@dataclass(slots=True)
class Referral:
    """A referral: referrer, referred member, the purchases, and what was paid of their earnings."""

    referrer: int
    referred: int
    since: datetime | None = None
    purchases: list[Purchase] = field(default_factory=list)
    spend: int = 0
    exact: Fraction = Fraction(0)
    shares: list["Share"] = field(default_factory=list)
    """What payouts paid for it."""
    kept: int = 0
    """The cents that the member got for it and has not given back."""
    charged_elsewhere: int = 0
    """The cents that refunds took off of what another bot paid."""
    taken_off: int = 0
    """The whole cents that refunds took off the earnings."""
    refunds: int = 0
    elsewhere: int = 0
    unlinked: bool = False

    def add(self, purchase: Purchase) -> None:
        """Add a purchase of the referred member."""
        purchase.counts = True
        self.purchases.append(purchase)
        self.spend += purchase.cents
        self.exact += purchase.exact

    def refund(self, purchase: Purchase, cents: int, now: datetime) -> None:
        """Refund a part of a purchase. Of its cashback that was paid, what was given back before is not owed again."""
        before = self.exact
        self.exact -= purchase.exact
        purchase.refunded += cents
        self.exact += purchase.exact
        self.spend -= cents
        self.refunds += 1
        fell = int(before) - self.earned
        self.taken_off += fell
        up_to_it = sum((one.exact for one in self.purchases if one.place <= purchase.place), Fraction())
        left = max(min(self.paid - int(up_to_it), fell), 0)
        its_own: list[Share] = []
        others: list[Share] = []
        for share in sorted(self.shares, key=lambda one: one.number):
            (its_own if share.had(purchase, self) else others).append(share)
        # If the purchase made up for an earlier refund, that is owed again and not charged twice.
        owed = max(min(self.paid - int(before - self.held(now)), self.kept), 0)
        made_up = max(self.charged - owed, 0)
        for share in its_own:
            left -= share.charge(left)
        left -= min(left, made_up)
        for share in others:
            left -= share.charge(left)
        self.charged_elsewhere += left

    def give_back(self, share: "Share", cents: int, now: datetime) -> None:
        """Take cents of a payout that the member has: what it still owes is settled first."""
        settled = min(cents, share.charged - self.made_up(share, now))
        share.charged -= settled
        share.forfeited += cents - settled
        share.returned += cents
        self.kept -= cents

    @property
    def given_back(self) -> int:
        """The cents that the member gave back although they are earned: no refund took them off."""
        return sum(share.forfeited for share in self.shares)

    @property
    def charged(self) -> int:
        """The cents that refunds took off although the member has them."""
        return self.charged_elsewhere + sum(share.charged for share in self.shares)

    @property
    def paid(self) -> int:
        """The cents that are not paid any more: what the member has, and what they gave back."""
        return self.kept + self.given_back

    @property
    def is_in_order(self) -> bool:
        """Whether its purchases became payable in the order in which they were recorded: no clock was set back."""
        places = [one.place for one in self.purchases]
        return places == sorted(places)

    def owed(self, now: datetime) -> int:
        """Return what the member has although refunds took it off."""
        return max(min(self.paid - self.payable(now), self.kept), 0)

    def returnable(self, share: "Share", now: datetime) -> int:
        """Return what a reversal may take of a share: what the member has of it and later earnings did not make up."""
        in_all = self.kept - max(self.charged - self.owed(now), 0)
        return max(min(share.paid - share.returned - self.made_up(share, now), in_all), 0)

    def made_up(self, share: "Share", now: datetime) -> int:
        """Return what later earnings made up of what a share is charged: of several charges the newest first."""
        newer = sum(one.charged for one in self.shares if one.number > share.number)
        return max(min(share.charged, self.charged - self.owed(now) - newer), 0)

    @property
    def earned(self) -> int:
        """The whole cents that were earned."""
        return int(self.exact)

    def payable(self, now: datetime) -> int:
        """Return the whole cents of the earnings that are not held."""
        return int(self.exact - self.held(now))

    def held(self, now: datetime) -> Fraction:
        """Return the earnings that are not payable yet, exactly."""
        held = (one.exact for one in self.purchases if one.payable_at is not None and one.payable_at > now)
        return sum(held, Fraction())

    def pending(self, now: datetime) -> int:
        """Return the whole cents that may be paid now; negative if more was paid than is earned."""
        return self.payable(now) - self.paid


@dataclass(slots=True)
class Share:
    """What a payout was shown to pay of one referral, what it paid of it, and what a reversal took back."""

    number: int
    at: datetime
    """When it was shown."""
    payable: int
    taken_off: int
    refunds: int
    purchases: int
    """How many purchases the referral had when this was shown."""
    paid: int = 0
    returned: int = 0
    charged: int = 0
    """What refunds took off although the member has it."""
    forfeited: int = 0
    """What a reversal took although no refund took it off."""

    def had(self, purchase: Purchase, one: Referral) -> bool:
        """Return whether a purchase was payable when this was shown."""
        became_payable, _ = purchase.place
        if became_payable == self.at:
            return any(each is purchase for each in one.purchases[: self.purchases])
        return became_payable < self.at

    def charge(self, cents: int) -> int:
        """Charge what no refund has taken off yet, at most so much: first what was given back. Return the cents."""
        part = min(cents, self.paid - self.charged - (self.returned - self.forfeited))
        forgiven = min(self.forfeited, part)
        self.forfeited -= forgiven
        self.charged += part - forgiven
        return part

    def left(self, one: Referral, now: datetime) -> int:
        """Return what may be paid of it: of what was shown, what no refund has taken off and nobody has paid."""
        shown = self.payable - (one.taken_off - self.taken_off)
        return max(min(shown, one.payable(now)) - one.paid, 0)


@dataclass(slots=True)
class Payout:
    """One line of a plan, and its outcome."""

    shares: dict[int, Share]
    """By the place of the referral among all referrals."""
    approved: int = 0
    status: PayoutStatus = PayoutStatus.PLANNED
    paid: int = 0
    reason: str | None = None
    taken_back: tuple[int, int, int] | None = None
    """The cents that a reversal took from the wallet, those that it did not hold, and those that were not due."""


@dataclass(slots=True)
class Batch:
    """A plan, its proposer, and until when it may be approved."""

    proposed_by: str
    expires_at: datetime | None
    payouts: dict[int, Payout]
    token: str
    needs_two: bool = False
    first_approved_by: str | None = None
    status: BatchStatus = BatchStatus.PROPOSED
    lapses_at: datetime | None = None
    is_edited: bool = False
    """Whether its plan is another now than the one that was shown."""
    ends: int = 0


@dataclass(slots=True)
class Reversal:
    """Payouts to be reversed, the admin that proposed it, and until when it may be approved."""

    batch: int
    referrer: int | None
    proposed_by: str
    expires_at: datetime
    needs_two: bool
    token: str
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
    wallets: Wallets = field(init=False)
    batches: dict[int, Batch] = field(default_factory=dict)
    reversals: dict[int, Reversal] = field(default_factory=dict)
    slots: dict[datetime, tuple[SlotStatus, int | None]] = field(default_factory=dict)
    paused: bool = False
    broken_wallet: int | None = None
    entitled: set[tuple[str, int]] = field(default_factory=set)
    """The members with the admin role at the moment of a press, and the batch pressed."""
    latest: datetime | None = None
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Let the withdrawals share the balances and their changes."""
        self.wallets = Wallets(self.balances, self.moves)

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
                one.kept += share
                cents -= share
                yield one, share

    def plan(
        self, now: datetime, *, target: int | None = None, least: int = 1, hold_leavers: bool = False
    ) -> dict[int, Payout]:
        """Compute what a batch that is proposed now would pay."""
        people = self.referrals_by if target is None else {target}
        left_out = {Absence.GONE, Absence.LEFT} if hold_leavers else {Absence.GONE}
        wanted = sorted(person for person in people if self.absent.get(person) not in left_out)
        number = max(self.batches, default=0) + 1
        return {
            person: Payout(self._shown(number, person, now), cents)
            for person in wanted
            if (cents := self.pending(person, now)) >= least
        }

    def _shown(self, number: int, person: int, now: datetime) -> dict[int, Share]:
        return {
            place: Share(number, now, one.payable(now), one.taken_off, one.refunds, len(one.purchases))
            for place, one in enumerate(self.referrals)
            if one.referrer == person and one.pending(now) > 0
        }

    # The referral program.

    def refer(self, pairs: Iterable[tuple[int, int]], now: datetime) -> None:
        """Record referrals, once each; they count from `now`."""
        for referrer, referred in pairs:
            if referrer != referred and referred not in self.referral_of:
                one = self.referral_of[referred] = Referral(referrer, referred, since=now)
                self.referrals.append(one)
                self.referrals_by.setdefault(referrer, []).append(one)
                for person in (referrer, referred):
                    self.balances.setdefault(person, 0)

    def count_waiting(self) -> None:
        """Count the purchases that were made after their referral and recorded before it, as each proposal does."""
        for purchase in self.orders.values():
            one = self.referral_of.get(purchase.buyer)
            if one is not None and purchase.waits and not one.unlinked and purchase.is_after(one.since):
                purchase.waits = False
                purchase.rate_ppm = 0 if one.referrer in self.barred else purchase.asked_rate_ppm
                one.add(purchase)

    def buy(self, order: str, purchase: Purchase) -> int | None:
        """Record a purchase; return the whole cents that it earned, None if it earned nothing."""
        if order in self.orders:
            return None
        self.orders[order] = purchase
        one = self.referral_of.get(purchase.buyer)
        if one is not None and one.unlinked:
            one = None
        purchase.asked_rate_ppm, purchase.waits = purchase.rate_ppm, purchase.buyer not in self.referral_of
        if one is None or one.referrer in self.barred:
            purchase.rate_ppm = 0
        if one is None:
            return None
        before = one.earned
        one.add(purchase)
        return one.earned - before if one.referrer not in self.barred else None

    def refund(self, order: str, refund_id: str, cents: int, now: datetime) -> int:
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
        one.refund(purchase, cents, now)
        return before - one.earned

    # Batches.

    def approve(self, number: int, actor: str, now: datetime, *, wait: timedelta, valid: timedelta) -> bool:
        """Approve a batch, or record the first of two approvals; an unauthorized or late approval is a violation.

        Return whether it is approved now.
        """
        batch = self.batches[number]
        self.require(batch.status is BatchStatus.PROPOSED, f"batch {number} was approved, it is {batch.status}")
        self.require(not batch.is_edited, f"batch {number} was approved, its plan is not the one that was shown")
        in_time = batch.expires_at is None or now < batch.expires_at
        self.require(in_time, f"batch {number} was approved at {now}, its deadline was {batch.expires_at}")
        first = batch.first_approved_by
        is_theirs = actor == batch.proposed_by if first is None else actor not in {batch.proposed_by, first}
        may = is_theirs and (actor, number) in self.entitled
        self.require(may, f"batch {number} was approved by {actor}, who may not")
        if batch.needs_two and first is None:
            batch.first_approved_by, batch.expires_at = actor, now + wait
            return False
        batch.status, batch.lapses_at = BatchStatus.APPROVED, now + valid
        return True

    def edit(self, number: int, cents: int) -> None:
        """Change the shares of a batch, as who edits the rows does; who undoes it lowers them again."""
        batch = self.batches[number]
        batch.is_edited = cents > 0
        for payout in batch.payouts.values():
            for share in payout.shares.values():
                share.payable += cents

    def require_valid(self, number: int, now: datetime) -> None:
        """Check that the approval of a batch that pays, or is to pay again, has not lapsed."""
        lapses_at = self.batches[number].lapses_at
        in_time = lapses_at is not None and now < lapses_at
        self.require(in_time, f"batch {number} goes on at {now}, its approval lapsed at {lapses_at}")

    def lapse(self, now: datetime) -> list[int]:
        """Close the batches whose approval has lapsed: what they have not paid is pending again."""
        lapsed = self.overdue(now)
        for batch in map(self.batches.__getitem__, lapsed):
            for payout in batch.payouts.values():
                if payout.status in {PayoutStatus.PLANNED, PayoutStatus.FAILED}:
                    payout.status, payout.reason = PayoutStatus.SKIPPED, SkipReason.LAPSED
            was_finished = batch.status is BatchStatus.COMPLETED_WITH_FAILURES
            batch.status = BatchStatus.COMPLETED if was_finished else BatchStatus.LAPSED
            batch.ends += 1
        return lapsed

    def overdue(self, now: datetime) -> list[int]:
        """List the batches with something to pay whose approval has lapsed."""
        return [
            number
            for number, batch in sorted(self.batches.items())
            if batch.status in UNPAID and batch.lapses_at is not None and batch.lapses_at <= now
        ]

    def credit(self, number: int, first: int, last: int, now: datetime) -> tuple[int, int, int]:
        """Settle the planned payouts of a range; return how many were credited, their cents, and how many skipped."""
        batch = self.batches[number]
        self.require(batch.status is BatchStatus.RUNNING, f"batch {number} pays, it is {batch.status}")
        self.require_valid(number, now)
        credited = cents = skipped = 0
        for person, payout in sorted(batch.payouts.items()):
            if not first <= person <= last or payout.status is not PayoutStatus.PLANNED:
                continue
            barred = person in self.barred
            paid = 0 if barred else sum(self._pay_share(number, place, payout, now) for place in payout.shares)
            if not paid:
                payout.reason = SkipReason.BLACKLISTED if barred else SkipReason.NOTHING_PENDING
                payout.status = PayoutStatus.SKIPPED
                skipped += 1
                continue
            self.require(paid <= payout.approved, f"{person} is paid {paid} cents, approved were {payout.approved}")
            self.move(number, person, paid)
            payout.status, payout.paid = PayoutStatus.CREDITED, paid
            credited, cents = credited + 1, cents + paid
        return credited, cents, skipped

    def _pay_share(self, number: int, place: int, payout: Payout, now: datetime) -> int:
        """Pay what is left of a share. It never pays what was earned later than it was shown, whatever came between."""
        one, share = self.referrals[place], payout.shares[place]
        share.paid = share.left(one, now)
        one.kept += share.paid
        if share.paid:
            one.shares.append(share)
            bought = sum((purchase.exact for purchase in one.purchases[: share.purchases]), Fraction())
            # Each refund may round a part of a cent in the member's favour.
            most = int(bought) + one.refunds - share.refunds
            self.require(one.paid <= most, f"batch {number} pays of {one.referred} what was earned after it was shown")
        return share.paid

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
        self.wallets.move(batch, person, cents)

    def reversible(self, batch: int, referrer: int | None, now: datetime) -> dict[int, int]:
        """Find what can be taken back of a batch's credited payouts, or of one referrer's in it."""
        found = {}
        for person, payout in sorted(self.batches[batch].payouts.items()):
            if payout.status is PayoutStatus.CREDITED and payout.taken_back is None and referrer in {None, person}:
                cents = sum(self.referrals[place].returnable(share, now) for place, share in payout.shares.items())
                if cents:
                    found[person] = cents
        return found

    def take_back(self, reversal: Reversal, now: datetime) -> tuple[int, int]:
        """Reverse payouts as far as the wallets hold them; return the cents taken, and the cents missing."""
        taken = missing = 0
        self.wallets.cancel_all_of(set(self.reversible(reversal.batch, reversal.referrer, now)))
        for person, cents in self.reversible(reversal.batch, reversal.referrer, now).items():
            payout = self.batches[reversal.batch].payouts[person]
            held = min(cents, max(self.balances[person], 0))
            payout.taken_back = (held, cents - held, payout.paid - cents)
            taken, missing = taken + held, missing + cents - held
            if held:
                self.wallets.reverse(reversal.batch, person, held)
                self._attribute(payout, held, now)
        reversal.is_open = False
        return taken, missing

    def _attribute(self, payout: Payout, cents: int, now: datetime) -> None:
        """Take cents off a payout's referrals, newest first."""
        for place, share in sorted(payout.shares.items(), reverse=True):
            one = self.referrals[place]
            part = min(cents, one.returnable(share, now))
            one.give_back(share, part, now)
            cents -= part

    def judge_shares(self, now: datetime) -> None:
        """Check from the member's side, by what entered and left the wallet, that cashback is taken once."""
        paid: dict[int, int] = {}
        shown: dict[int, int] = {}
        for batch in self.batches.values():
            for payout in batch.payouts.values():
                for place, share in payout.shares.items():
                    paid[place] = paid.get(place, 0) + share.paid - share.returned
                    if share.returned:
                        shown[place] = max(shown.get(place, 0), share.purchases)
        for place, one in enumerate(self.referrals):
            has = paid.get(place, 0) + one.elsewhere
            self.require(one.kept == has >= 0, f"{one.referrer} has {has} cents of {one.referred}, not {one.kept}")
            self.require(0 <= one.owed(now) <= has, f"{one.referrer} has {has} cents, and owes {one.owed(now)}")
            earned = sum((purchase.exact for purchase in one.purchases[: shown.get(place, 0)]), Fraction())
            is_less = one.given_back <= int(earned) + one.refunds
            text = f"{one.referrer} lost {one.given_back} of {one.referred}, what was reversed earns {int(earned)}"
            self.require(is_less or not one.is_in_order, text)

    def open_batches(self) -> list[int]:
        """List the unfinished batches."""
        return [number for number, batch in self.batches.items() if batch.status in OPEN]
