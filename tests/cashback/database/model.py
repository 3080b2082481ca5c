"""What the ledger must hold, in dicts and lists: knows the rules of the money, and nothing of SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cashback.domain.model import BatchStatus, PayoutStatus
from cashback.domain.withdrawals import Withdrawal, WithdrawalStatus
from verification.simulation.wallet_model import Wallets

PPM = 1_000_000


@dataclass(slots=True)
class Order:
    """A purchase. `rate_ppm` is 0 if it earns nothing; `payable_at` is None if payable at once."""

    buyer: int
    amount: int
    rate_ppm: int
    payable_at: datetime | None
    place: tuple[datetime, str]
    """When it became payable, and its id: paid cashback covers a referral's orders in this order."""
    refunded: int = 0

    @property
    def earned_ppm(self) -> int:
        """Return what it earns, in millionths of a cent."""
        return (self.amount - self.refunded) * self.rate_ppm


@dataclass(slots=True)
class Share:
    """What a payout was shown to pay of a referral, what it paid, and what a reversal took."""

    number: int
    one: Referral
    payable: int
    taken_off: int
    orders: list[Order]
    """What it pays for: the orders that were payable when it was shown."""
    paid: int = 0
    returned: int = 0
    charged: int = 0
    """What refunds took off although it is kept: owed, or made up for by later earnings."""
    forfeited: int = 0
    """What a reversal took although it is earned."""

    def pay(self, now: datetime) -> int:
        """Pay of what was shown what no refund took off and nobody paid."""
        shown = self.payable - (self.one.taken_off - self.taken_off)
        self.paid = max(0, min(shown, self.one.earned_ppm(now) // PPM) - self.one.paid)
        self.one.kept += self.paid
        if self.paid:
            self.one.shares.append(self)
        return self.paid

    def charge(self, cents: int) -> int:
        """Charge what no refund has taken off yet, at most so much: first what was given back. Return the cents."""
        part = min(cents, self.paid - self.charged - (self.returned - self.forfeited))
        forgiven = min(self.forfeited, part)
        self.forfeited -= forgiven
        self.charged += part - forgiven
        return part


@dataclass(slots=True)
class Referral:
    """A referral. Earnings are not stored here: they follow from the orders, to the millionth of a cent."""

    referrer: int
    referred: int
    orders: list[Order] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    """What payouts paid for it."""
    kept: int = 0
    """What entered the wallet for it and did not leave it again."""
    charged_elsewhere: int = 0
    taken_off: int = 0
    elsewhere: int = 0

    @property
    def given_back(self) -> int:
        """Return what reversals took although it is earned."""
        return sum(share.forfeited for share in self.shares)

    @property
    def charged(self) -> int:
        """Return what refunds took off although it is kept."""
        return self.charged_elsewhere + sum(share.charged for share in self.shares)

    @property
    def paid(self) -> int:
        """Return what is not paid any more."""
        return self.kept + self.given_back

    def refund(self, order: Order, cents: int, now: datetime) -> None:
        """Refund a part of an order: the payouts that paid for it are charged."""
        before = self.earned_ppm()
        order.refunded += cents
        fell = before // PPM - self.earned_ppm() // PPM
        up_to_it = sum(one.earned_ppm for one in self.orders if one.place <= order.place)
        left = max(0, min(self.paid - up_to_it // PPM, fell))
        self.taken_off += fell
        its_own: list[Share] = []
        others: list[Share] = []
        for share in sorted(self.shares, key=lambda one: one.number):
            (its_own if any(one is order for one in share.orders) else others).append(share)
        # If it made up for an earlier refund, that is owed again and not charged twice.
        payable = before - (self.earned_ppm() - self.earned_ppm(now))
        made_up = max(0, self.charged - max(0, min(self.paid - payable // PPM, self.kept)))
        for share in its_own:
            left -= share.charge(left)
        left -= min(left, made_up)
        for share in others:
            left -= share.charge(left)
        self.charged_elsewhere += left

    def owed(self, now: datetime) -> int:
        """Return what was kept although refunds took it off."""
        return max(0, min(self.paid - self.earned_ppm(now) // PPM, self.kept))

    def made_up(self, share: Share, now: datetime) -> int:
        """Return what later earnings made up for of what a share is charged: of several the newest first."""
        newer = sum(one.charged for one in self.shares if one.number > share.number)
        return max(0, min(share.charged, self.charged - self.owed(now) - newer))

    def returnable(self, share: Share, now: datetime) -> int:
        """Return what a reversal may take: what was kept of the share and no later earnings made up for."""
        in_all = self.kept - max(0, self.charged - self.owed(now))
        return max(0, min(share.paid - share.returned - self.made_up(share, now), in_all))

    def give_back(self, share: Share, cents: int, now: datetime) -> None:
        """Give cents of a share back; what it still owes is settled first."""
        settled = min(cents, share.charged - self.made_up(share, now))
        share.charged -= settled
        share.forfeited += cents - settled
        share.returned += cents
        self.kept -= cents

    @property
    def spend(self) -> int:
        """Return what the member spent, less refunds."""
        return sum(order.amount - order.refunded for order in self.orders)

    def earned_ppm(self, payable_by: datetime | None = None) -> int:
        """Return all earnings, or their payable part, in millionths of a cent."""
        return sum(
            order.earned_ppm
            for order in self.orders
            if payable_by is None or order.payable_at is None or order.payable_at <= payable_by
        )

    def shown(self, number: int, now: datetime) -> Share:
        """Return what a plan shows of it."""
        orders = [order for order in self.orders if order.payable_at is None or order.payable_at <= now]
        return Share(number, self, self.earned_ppm(now) // PPM, self.taken_off, orders)

    def pending(self, now: datetime) -> int:
        """Return what is to be paid; zero if a refund took back what was paid."""
        return max(0, self.earned_ppm(now) // PPM - self.paid)


@dataclass(slots=True)
class Payout:
    approved: int
    shares: list[Share]
    status: str = PayoutStatus.PLANNED
    paid: int = 0
    reason: str | None = None
    is_reversed: bool = False


@dataclass(slots=True)
class Batch:
    expires_at: datetime
    payouts: dict[int, Payout]
    status: str = BatchStatus.PROPOSED
    lapses_at: datetime | None = None

    def is_lapsed(self, now: datetime) -> bool:
        """Return whether its approval has lapsed."""
        return self.lapses_at is not None and self.lapses_at <= now

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
    wallets: Wallets = field(init=False)
    methods: dict[int, str] = field(default_factory=dict)
    """By the numbers of withdrawals."""
    exported: set[int] = field(default_factory=set)
    """The withdrawals in a list for a bank."""
    wishes: dict[int, str] = field(default_factory=dict)
    """How payouts are sent each time, by member."""
    events: list[tuple[str, int, int]] = field(default_factory=list)
    """What other programs hear of: the event, the member, the cents."""

    def __post_init__(self) -> None:
        """Let the wallets' model move the same balances."""
        self.wallets = Wallets(self.balances, self.moves)

    def ask(self, number: int, member: int, cents: int, method: str, threshold: int) -> None:
        """Take an amount out of a wallet into a request."""
        self.wallets.ask(number, member, cents, threshold)
        self.methods[number] = method
        self._tell(number, "requested")

    def decide(self, number: int, act: str, actor: str | None) -> None:
        """Record the first of two approvals, pay a request, or return its amount."""
        if act == "approve":
            self.wallets.approve(number, actor or "")
            self.audit.append(("withdrawal_first_approved", None))
        elif act == "pay":
            self.wallets.pay(number, actor or "")
            self._tell(number, "paid")
        else:
            status = WithdrawalStatus.DECLINED if act == "decline" else WithdrawalStatus.CANCELLED
            self.wallets.give_back(number, actor, status)
            self._tell(number, status)

    def send(self, member: int, sent: Withdrawal | None, limits: tuple[int, int | None], threshold: int) -> None:
        """Send a member's payouts into a request, or into the open one."""
        is_new = sent is not None and sent.number not in self.wallets.requests
        told = None if sent is None else (sent.number, sent.amount_cents)
        self.wallets.send(member, told, limits, threshold)
        if sent is not None:
            self.methods.setdefault(sent.number, self.wishes[member])
            self._tell(sent.number, "requested", "requested" if is_new else "raised")

    def _tell(self, number: int, event: str, action: str | None = None) -> None:
        one = self.wallets.requests[number]
        self.events.append((f"withdrawal.{event}", one.member, one.cents))
        self.audit.append((f"withdrawal_{action or event}", None))

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
            one.kept += share
            cents -= share
            taken.append((one, share))
        assert not cents
        return taken

    def credit(self, number: int, referrers: list[int], now: datetime) -> tuple[int, int, int]:
        """Settle planned payouts; return credited, cents, skipped."""
        paid: list[int] = []
        for referrer in sorted(referrers):
            payout = self.batches[number].payouts[referrer]
            barred = referrer in self.blacklisted
            cents = 0 if barred else sum(share.pay(now) for share in payout.shares)
            assert cents <= payout.approved
            if not cents:
                payout.status = PayoutStatus.SKIPPED
                payout.reason = "blacklisted" if barred else "nothing_pending"
                continue
            self.wallets.move(number, referrer, cents)
            self.events.append(("payout.credited", referrer, cents))
            payout.status, payout.paid = PayoutStatus.CREDITED, cents
            paid.append(cents)
        return len(paid), sum(paid), len(referrers) - len(paid)

    def plan(self, wanted: set[int], now: datetime) -> dict[int, Payout]:
        """Plan the payouts of those with something pending, with what is shown of each referral."""
        number = max(self.batches, default=0) + 1
        return {
            person: Payout(cents, [one.shown(number, now) for one in self.payable(person, now)])
            for person in wanted
            if (cents := self.pending(person, now))
        }

    def payable(self, referrer: int, now: datetime) -> list[Referral]:
        """List the referrals with something to pay."""
        return [one for one in self.of(referrer) if one.pending(now)]

    def lapse(self, now: datetime) -> list[int]:
        """Close the batches whose approval has lapsed."""
        waiting = {BatchStatus.APPROVED, BatchStatus.RUNNING, BatchStatus.STOPPED, BatchStatus.COMPLETED_WITH_FAILURES}
        lapsed = [n for n, one in sorted(self.batches.items()) if one.status in waiting and one.is_lapsed(now)]
        for number in lapsed:
            for payout in self.batches[number].payouts.values():
                if payout.status in {PayoutStatus.PLANNED, PayoutStatus.FAILED}:
                    payout.status, payout.reason = PayoutStatus.SKIPPED, "lapsed"
            was_finished = self.batches[number].status == BatchStatus.COMPLETED_WITH_FAILURES
            self.audit.append(("batch_lapsed", number))
            self.move(number, BatchStatus.COMPLETED if was_finished else BatchStatus.LAPSED, "batch_finished")
        return lapsed

    def reversible(self, number: int, person: int | None, now: datetime) -> dict[int, int]:
        """Find what can be taken back of a batch, or of one person in it."""
        found = {
            one: sum(share.one.returnable(share, now) for share in payout.shares)
            for one, payout in sorted(self.batches[number].payouts.items())
            if payout.status == PayoutStatus.CREDITED and not payout.is_reversed and person in {None, one}
        }
        return {one: cents for one, cents in found.items() if cents}

    def take_back(self, number: int, people: dict[int, int], now: datetime) -> tuple[int, int]:
        """Reverse credited payouts as far as each wallet holds them; return the cents taken and the cents missing.

        What their members have asked for returns to the wallets before.
        """
        self.audit.append(("reversal_proposed", number))
        for request, one in sorted(self.wallets.requests.items()):
            if one.status is WithdrawalStatus.REQUESTED and one.member in people:
                self.decide(request, "cancel", None)
        reversed_cents = shortfall = 0
        for person, due in people.items():
            payout = self.batches[number].payouts[person]
            cents = left = min(due, self.balances[person])
            for share in reversed(payout.shares):
                part = min(left, share.one.returnable(share, now))
                share.one.give_back(share, part, now)
                left -= part
            if cents:
                self.wallets.reverse(number, person, cents)
            payout.is_reversed = True
            reversed_cents += cents
            shortfall += due - cents
        self.audit.append(("payouts_reversed", number))
        return reversed_cents, shortfall
