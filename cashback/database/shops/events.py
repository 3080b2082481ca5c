"""Records one event of a delivery: a purchase with or without its member, a refund, or a dispute."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection

from cashback.database.referral_program import corrections, refund_facts, twins, unmatched
from cashback.database.referral_program.purchases import (
    LARGEST_PURCHASE_CENTS,
    Purchase,
    PurchaseOutcome,
    RecordedPurchase,
)
from cashback.database.referral_program.refunds import find_order
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.database.shops import buyers
from cashback.domain.earning import MAIN, EarningDates, Origin, order_key
from cashback.domain.shop_events import EventKind, ShopEvent

IN_MAIN: Final = "This order is in main with the same buyer and amount, so it counts there."
NEVER_PAID: Final = "Its order was never paid."
NO_REFERRER: Final = "Its buyer has no referrer, so it earns nothing."
NO_MEMBER: Final = "No member is known as its buyer; it waits for a claim, or for an admin."


class EventOutcome(StrEnum):
    """What an event did, the most telling first."""

    COUNTED = "counted"
    WAITING = "waiting"
    KEPT = "kept"
    CONFLICTING = "conflicting"
    EXCLUDED = "excluded"
    REPEATED = "repeated"


CHANGES: Final = frozenset({EventOutcome.COUNTED, EventOutcome.WAITING, EventOutcome.KEPT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """An event with its buyer's e-mail as a keyed hash, and hints by which the buyer can prove the purchase."""

    event: ShopEvent
    email_hash: str | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTerms:
    """What decides about a shop's deliveries: the program's terms, and the shop's currency."""

    currency: str
    rate_ppm: int
    holding_days: int
    unmatched_days: int
    dates: EarningDates
    one_buyer_per_member: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResult:
    """What one event did, and why. `member_id` is whose purchase it is."""

    reported: Reported
    outcome: EventOutcome
    reason: str | None = None
    amount_cents: int = 0
    earned_cents: int = 0
    member_id: int | None = None

    @property
    def changes_something(self) -> bool:
        """Return whether the ledger is another one after it."""
        return self.outcome in CHANGES

    @property
    def event(self) -> ShopEvent:
        """The event itself."""
        return self.reported.event

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it for some days: nothing of the person but the Discord id."""
        event = self.reported.event
        return {
            "event": event.kind,
            "order_id": event.order_id,
            "amount_cents": event.amount_cents,
            "currency": event.currency,
            "test": event.is_test,
            "buyer_id": None if event.buyer_id is None else str(event.buyer_id),
            "refund_id": event.refund_id,
            "of_unpaid": event.is_of_unpaid,
            "at": None if event.at is None else event.at.isoformat(),
            "email_hash": self.reported.email_hash,
            "hints": list(self.reported.hints),
            "member_id": None if self.member_id is None else str(self.member_id),
            "outcome": self.outcome,
            "reason": self.reason,
            "earned_cents": self.earned_cents,
        }


def reported_of(kept: dict[str, Any]) -> Reported:
    """Return an event as it was read, from what is kept of it. It counts as if it were no test."""
    event = ShopEvent(
        kind=EventKind(kept["event"]),
        order_id=kept["order_id"],
        amount_cents=kept["amount_cents"],
        currency=kept["currency"],
        buyer_id=None if kept["buyer_id"] is None else int(kept["buyer_id"]),
        refund_id=kept["refund_id"],
        at=None if kept["at"] is None else datetime.fromisoformat(kept["at"]),
        is_of_unpaid=kept.get("of_unpaid", False),
    )
    return Reported(event=event, email_hash=kept["email_hash"], hints=tuple(kept["hints"]))


def record_event(
    connection: Connection, reported: Reported, terms: DeliveryTerms, *, actor: str, now: datetime, origin: Origin
) -> EventResult:
    """Record one event, in any order of arrival; a repeated one changes nothing."""
    reported = _under_its_files_id(connection, reported, origin.source)
    event = reported.event
    excluded = _why_excluded(event, terms)
    if excluded is not None:
        return EventResult(reported=reported, outcome=EventOutcome.EXCLUDED, reason=excluded)
    if event.kind is EventKind.PAID:
        return _record_purchase(connection, reported, terms, actor=actor, now=now, origin=origin)
    return _record_refund(connection, reported, terms, actor=actor, now=now, origin=origin)


def _under_its_files_id(connection: Connection, reported: Reported, source: str) -> Reported:
    """Return an event with the id of the shop's exports if one of these has brought the order already."""
    event = reported.event
    if event.file_id is None or event.file_id == event.order_id:
        return reported
    known = unmatched.recorded_among(connection, [event.order_id, event.file_id], source)
    if order_key(event.order_id) in known or order_key(event.file_id) not in known:
        return reported
    return replace(reported, event=replace(event, order_id=event.file_id))


def _why_excluded(event: ShopEvent, terms: DeliveryTerms) -> str | None:
    if event.is_test:
        return "It is a test, not an order."
    if event.currency != terms.currency:
        return f"It is in {event.currency}, the ledger is in {terms.currency}."
    if event.kind is EventKind.PAID and not event.amount_cents:
        return "Nothing was paid."
    if (event.amount_cents or 0) > LARGEST_PURCHASE_CENTS:
        return f"Its amount is more than {LARGEST_PURCHASE_CENTS} cents."
    return None


def _record_purchase(
    connection: Connection, reported: Reported, terms: DeliveryTerms, *, actor: str, now: datetime, origin: Origin
) -> EventResult:
    event, amount_cents = reported.event, reported.event.amount_cents or 0
    found = buyers.find(
        connection, event.buyer_id, reported.email_hash, now=now, one_buyer_per_member=terms.one_buyer_per_member
    )
    purchase: Purchase | UnmatchedPurchase = UnmatchedPurchase(event.order_id, amount_cents, event.at, reported.hints)
    if found.member_id is not None:
        purchase = Purchase(event.order_id, found.member_id, amount_cents, event.at)
        if _is_in_main(connection, event, purchase, origin.source):
            reason = f"{IN_MAIN} If it is another order, import it with --shop {origin.source} --separate-orders."
            return EventResult(reported=reported, outcome=EventOutcome.EXCLUDED, reason=reason)
    [recorded] = unmatched.record_reported(
        connection,
        [purchase],
        terms.rate_ppm,
        now,
        holding_days=terms.holding_days,
        unmatched_days=terms.unmatched_days,
        dates=terms.dates,
        origin=origin,
        actor=actor,
    )
    result = _result_of(reported, recorded, found)
    if result.outcome is EventOutcome.COUNTED and event.buyer_id is not None and reported.email_hash is not None:
        buyers.note_email(connection, event.buyer_id, reported.email_hash, now)
    return result


def _is_in_main(connection: Connection, event: ShopEvent, purchase: Purchase, source: str) -> bool:
    """Return whether a new order counts in `main` already, which files brought before the shop was connected."""
    if source == MAIN:
        return False
    ids = tuple(dict.fromkeys(filter(None, (event.order_id, event.file_id, event.number))))
    order = twins.Candidate(ids, purchase.buyer_id, purchase.amount_cents)
    found = twins.new_twins(connection, [order], source, [MAIN])
    return bool(found) and not twins.are_said_to_differ(connection, source, MAIN)


def _result_of(reported: Reported, recorded: RecordedPurchase, found: buyers.Found) -> EventResult:
    outcome, reason = EventOutcome.COUNTED, None
    match recorded.outcome:
        case PurchaseOutcome.NOBODY_EARNS:
            reason = NO_REFERRER
        case PurchaseOutcome.WAITING:
            outcome, reason = EventOutcome.WAITING, found.reason or NO_MEMBER
        case PurchaseOutcome.REPEATED:
            outcome, reason = EventOutcome.REPEATED, "This order is recorded already."
        case PurchaseOutcome.CONFLICTING:
            outcome = EventOutcome.CONFLICTING
            reason = "This order is recorded with another buyer or amount; nothing was changed."
    return EventResult(
        reported=reported,
        outcome=outcome,
        reason=reason,
        amount_cents=reported.event.amount_cents or 0,
        earned_cents=recorded.earned_cents,
        member_id=found.member_id,
    )


def _record_refund(
    connection: Connection, reported: Reported, terms: DeliveryTerms, *, actor: str, now: datetime, origin: Origin
) -> EventResult:
    event = reported.event
    if event.is_of_unpaid and find_order(connection, origin.source, event.order_id) is None:
        return EventResult(reported=reported, outcome=EventOutcome.EXCLUDED, reason=NEVER_PAID)
    is_new = refund_facts.add_fact(connection, event, now=now, origin=origin)
    order = find_order(connection, origin.source, event.order_id)
    if order is None:
        reason = "Its order is not recorded yet; it is applied when the order comes."
        outcome = EventOutcome.KEPT if is_new else EventOutcome.REPEATED
        return EventResult(reported=reported, outcome=outcome, reason=reason)
    given_cents = 0
    for dispute_id in refund_facts.facts_of(connection, origin.source, event.order_id).won:
        given_cents += corrections.give_back(
            connection, order, dispute_id, actor=actor, now=now, origin=origin, dates=terms.dates
        )
    taken_cents = refund_facts.take_missing(
        connection, origin.source, event.order_id, actor=actor, now=now, origin=origin
    )
    member_id = order.buyer_id
    if given_cents or taken_cents:
        cents = given_cents - taken_cents
        return EventResult(reported=reported, outcome=EventOutcome.COUNTED, amount_cents=-cents, member_id=member_id)
    if is_new:
        reason = "It changes nothing of what the order has lost already."
        return EventResult(reported=reported, outcome=EventOutcome.COUNTED, reason=reason, member_id=member_id)
    reason = "This refund is recorded already."
    return EventResult(reported=reported, outcome=EventOutcome.REPEATED, reason=reason, member_id=member_id)
