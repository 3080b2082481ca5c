"""An order as an admin sees it: who bought, what it earned, what was paid of it, and why the rest was not."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cashback.domain.earning import MAIN
from cashback.domain.money import dollars
from cashback.domain.written_moments import written

PPM_PER_PERCENT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPart:
    """The purchase of an order, or what a correction made of it.

    `earned_cents` are what it earns after refunds, `held_cents` what of that is held, `paid` the cents by batch; what
    another bot paid has no batch.
    """

    order_id: str
    buyer_id: int
    referrer_id: int | None
    amount_cents: int
    refunded_cents: int
    rate_ppm: int
    earned_cents: int
    held_cents: int
    paid_cents: int
    paid: tuple[tuple[str | None, int], ...]
    purchased_at: datetime
    recorded_at: datetime
    payable_at: datetime | None
    is_blacklisted: bool = False
    is_unlinked: bool = False
    is_capped: bool = False
    is_over: bool = False
    has_referrer_now: bool = False

    @property
    def pending_cents(self) -> int:
        """What of it is neither held nor paid."""
        return self.earned_cents - self.held_cents - self.paid_cents


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefund:
    """A refund of an order by its shop."""

    refund_id: str
    amount_cents: int
    taken_cents: int
    refunded_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCorrection:
    """A correction of an order."""

    number: int
    kind: str
    buyer_id: int
    amount_cents: int
    refund_id: str | None
    reason: str | None
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """An order with its parts; one that waits for a member has none. `amount_cents` is the order's now."""

    source: str
    order_id: str
    amount_cents: int
    intake_number: int | None
    waits_until: datetime | None = None
    parts: tuple[OrderPart, ...] = ()
    refunds: tuple[OrderRefund, ...] = ()
    corrections: tuple[OrderCorrection, ...] = ()
    kept_refunds: int = 0

    @property
    def refunded_cents(self) -> int:
        """What the shop refunded, also what it gave back later."""
        return sum(refund.amount_cents for refund in self.refunds)

    def name_of(self, refund: OrderRefund) -> str | None:
        """Return the shop's id of a refund; None if it had none and the ledger made one of the order's."""
        made = re.fullmatch(rf"{re.escape(self.order_id)}/([0-9]+|rest(-[0-9]+)?)", refund.refund_id)
        return None if made else refund.refund_id

    @property
    def buyer_id(self) -> int | None:
        """The member whose order it is now; None if it waits."""
        return self.parts[-1].buyer_id if self.parts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How people, actors and other people's texts are written. The command line writes them as they are stored."""

    person: Callable[[int], str] = str
    actor: Callable[[str], str] = str
    quoted: Callable[[str], str] = str


AS_STORED: Final = Wording()


def why_not_paid(order: OrderFacts, now: datetime, wording: Wording = AS_STORED) -> list[str]:
    """Return the reasons why an order, or a part of it, is not paid; empty if all that it earned is paid."""
    if not order.parts:
        over = order.waits_until is not None and order.waits_until <= now
        ended = "waited too long for its member" if over else "waits for its member"
        return [f"It {ended}: an admin may assign it on its page of the dashboard, or by `cashback order assign`."]
    reasons = [reason for part in order.parts if (reason := _why(part, wording.person))]
    return list(dict.fromkeys(reasons))


def _why(part: OrderPart, person: Callable[[int], str]) -> str | None:
    if part.amount_cents == part.refunded_cents:
        return "All of it was refunded or corrected." if part.amount_cents else f"Its amount is {dollars(0)}."
    if part.referrer_id is None and part.has_referrer_now:
        return "It was bought before the buyer's referral, or before the program started."
    if part.referrer_id is None:
        return "The buyer has no referrer."
    if part.is_blacklisted:
        return f"The referrer {person(part.referrer_id)} is blacklisted."
    return _why_unpaid(part)


def _why_unpaid(part: OrderPart) -> str | None:
    if not part.rate_ppm and part.is_over:
        return "Its referral had earned for as many days as a referral does."
    if part.is_capped:
        return f"Its referrer reached the cap of {part.purchased_at:%Y-%m}; what is above it is not earned."
    if not part.rate_ppm:
        return (
            "It earned nothing when it was recorded: its referrer was blacklisted or had reached the monthly cap, or"
            " the program had not started."
        )
    if part.held_cents and part.payable_at is not None:
        return f"{dollars(part.held_cents)} are in the holding period until {written(part.payable_at)}."
    if part.pending_cents > 0:
        return f"{dollars(part.pending_cents)} are pending: the next batch pays them."
    return None


def order_lines(order: OrderFacts, now: datetime, wording: Wording = AS_STORED) -> list[str]:
    """Describe an order in lines of text."""
    quoted = wording.quoted
    shop = "" if order.source == MAIN else f" of shop {order.source}"
    lines = [f"Order {quoted(order.order_id)}{shop}: {dollars(order.amount_cents)}"]
    if order.intake_number is not None:
        lines.append(f"Import or delivery: {order.intake_number}")
    for part in order.parts:
        lines += _part_lines(part, wording, is_first=part is order.parts[0])
    lines += [
        f"Refunded {dollars(each.amount_cents)} on {written(each.refunded_at)}"
        f"{f' ({quoted(name)})' if (name := order.name_of(each)) else ''}:"
        f" takes {dollars(each.taken_cents)} off the cashback"
        for each in order.refunds
    ]
    lines += [_correction_line(each, wording) for each in order.corrections]
    if order.kept_refunds:
        lines.append(f"Refunds that wait for its purchase: {order.kept_refunds}")
    return lines + [f"Why not paid: {reason}" for reason in why_not_paid(order, now, wording)]


def _part_lines(part: OrderPart, wording: Wording, *, is_first: bool) -> list[str]:
    name = "Bought" if is_first else f"Corrected ({wording.quoted(part.order_id)}), bought"
    referrer = f"referred by {wording.person(part.referrer_id)}" if part.referrer_id is not None else "no referrer"
    bought = f"{name} by {wording.person(part.buyer_id)} ({referrer}) on {written(part.purchased_at)}"
    figures = f"{dollars(part.paid_cents)} paid, {dollars(part.held_cents)} held, {dollars(part.pending_cents)} pending"
    lines = [
        f"{bought}: {dollars(part.amount_cents)}, {dollars(part.refunded_cents)} of it refunded or corrected",
        f"  Earned {dollars(part.earned_cents)} at {part.rate_ppm / PPM_PER_PERCENT:g}%: {figures}",
    ]
    return lines + [f"  Paid {dollars(cents)} in {batch_id or 'another bot'}" for batch_id, cents in part.paid]


def _correction_line(correction: OrderCorrection, wording: Wording) -> str:
    refund = wording.quoted(correction.refund_id or "")
    done = {
        "given_back": f"{dollars(correction.amount_cents)} given back: the dispute {refund} was won",
        "reassigned": f"reassigned to {wording.person(correction.buyer_id)}",
        "amount": f"amount corrected to {dollars(correction.amount_cents)}",
    }[correction.kind]
    reason = f": {wording.quoted(correction.reason)}" if correction.reason else ""
    by = wording.actor(correction.made_by)
    return f"Correction {correction.number} on {written(correction.made_at)} by {by}: {done}{reason}"
