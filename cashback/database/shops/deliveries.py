"""Deliveries of shops: recorded once, with what each did and why."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from cashback.database import closed_ledger
from cashback.database.referral_program import intakes
from cashback.database.referral_program.intakes import IntakeTotals
from cashback.database.shops.events import DeliveryTerms, EventOutcome, EventResult, Reported, record_event, reported_of
from cashback.database.tables import holds_events, is_done_with, shop_deliveries
from cashback.domain.earning import Origin

DAYS_KEPT: Final = 30
"""How long what was read of a delivery is kept."""

DELIVERY: Final = "delivery"


class DeliveryOutcome(StrEnum):
    """What a delivery did. The first that applies to one of its events."""

    COUNTED = "counted"
    WAITING = "waiting"
    KEPT = "kept"
    CONFLICTING = "conflicting"
    EXCLUDED = "excluded"
    REPEATED = "repeated"
    IGNORED = "ignored"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A delivery that has proved where it comes from. `remark` says why it has no events."""

    shop: str
    kind: str
    digest: str
    event_id: str
    topic: str
    events: tuple[Reported, ...] = ()
    remark: str | None = None
    is_unreadable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a delivery did, and why."""

    outcome: DeliveryOutcome
    reason: str | None
    results: tuple[EventResult, ...] = ()


class Incoming(NamedTuple):
    """A delivery, the terms of its shop, and who and when."""

    received: Received
    terms: DeliveryTerms
    actor: str
    now: datetime


def record_all(connection: Connection, incoming: Sequence[Incoming]) -> list[Recorded]:
    """Record deliveries, one after the other, in one transaction; return what each did."""
    closed_ledger.require_open(connection)
    _erase(connection, max(one.now for one in incoming))
    return [_record(connection, received, terms, actor=actor, now=now) for received, terms, actor, now in incoming]


def _record(connection: Connection, received: Received, terms: DeliveryTerms, *, actor: str, now: datetime) -> Recorded:
    """Record a delivery and what it reports. The same event counts once."""
    before = connection.execute(_BEFORE, {"shop": received.shop, "event": received.event_id}).all()
    if any(row.is_done for row in before):
        return Recorded(outcome=DeliveryOutcome.REPEATED, reason="This event was delivered before.")
    number = intakes.begin(connection, source=received.shop, kind=DELIVERY, actor=actor, now=now)
    origin = Origin(source=received.shop, intake_number=number)
    results = tuple(
        record_event(connection, event, terms, actor=actor, now=now, origin=origin) for event in received.events
    )
    changed = [result for result in results if result.changes_something]
    if changed:
        totals = IntakeTotals(
            digest=received.digest, rows=len(changed), cents=sum(result.amount_cents for result in changed)
        )
        intakes.finish(connection, number, totals, actor=actor, now=now)
    else:
        intakes.forget(connection, number)
    recorded = _summed_up(received, results)
    if before and (before[0].outcome, before[0].reason) == (recorded.outcome, recorded.reason):
        # A retry that is refused for the same reason is no further line in the list.
        return recorded
    row = {
        "shop": received.shop,
        "kind": received.kind,
        "at": now,
        "digest": received.digest,
        "event_id": received.event_id,
        "topic": received.topic,
        "outcome": recorded.outcome,
        "reason": recorded.reason,
        "intake_number": number if changed else None,
        "events": json.dumps([result.as_json() for result in results]) if results else None,
    }
    connection.execute(_INSERT, row)
    return recorded


_INSERT: Final = insert(shop_deliveries)
_BEFORE: Final = (
    select(shop_deliveries.c.outcome, shop_deliveries.c.reason, is_done_with.label("is_done"))
    .where(shop_deliveries.c.shop == bindparam("shop"), shop_deliveries.c.event_id == bindparam("event"))
    .order_by(shop_deliveries.c.number.desc())
)
"""What was recorded of an event before, newest first."""


def _summed_up(received: Received, results: Sequence[EventResult]) -> Recorded:
    if received.is_unreadable:
        return Recorded(outcome=DeliveryOutcome.UNREADABLE, reason=received.remark)
    if not results:
        return Recorded(outcome=DeliveryOutcome.IGNORED, reason=received.remark)
    order = list(EventOutcome)
    first = min(results, key=lambda result: order.index(result.outcome))
    return Recorded(outcome=DeliveryOutcome(first.outcome), reason=first.reason, results=tuple(results))


def _erase(connection: Connection, now: datetime) -> None:
    """Erase what was read of deliveries that are old."""
    connection.execute(_ERASE, {"oldest": now - timedelta(days=DAYS_KEPT)})


_ERASE: Final = (
    update(shop_deliveries).where(holds_events, shop_deliveries.c.at < bindparam("oldest")).values(events=None)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A delivery as it is shown. `events` is what was read of it; None if it is erased, or if there was nothing."""

    number: int
    shop: str
    kind: str
    at: datetime
    event_id: str
    topic: str
    outcome: DeliveryOutcome
    reason: str | None
    events: list[dict[str, Any]] | None


def newest(
    connection: Connection, *, limit: int, shop: str | None = None, before_number: int | None = None
) -> list[Listed]:
    """List deliveries, newest first, optionally of one shop, and optionally only those before a given one."""
    query = select(shop_deliveries).order_by(shop_deliveries.c.number.desc()).limit(limit)
    if shop is not None:
        query = query.where(shop_deliveries.c.shop == shop)
    if before_number is not None:
        query = query.where(shop_deliveries.c.number < before_number)
    return [
        Listed(
            number=row.number,
            shop=row.shop,
            kind=row.kind,
            at=row.at,
            event_id=row.event_id,
            topic=row.topic,
            outcome=DeliveryOutcome(row.outcome),
            reason=row.reason,
            events=None if row.events is None else json.loads(row.events),
        )
        for row in connection.execute(query)
    ]


def try_again(
    connection: Connection, delivery: Listed, terms: DeliveryTerms, *, now: datetime
) -> tuple[EventResult, ...]:
    """Return what a delivery would do now if it were no test; nothing is changed."""
    origin = Origin(source=delivery.shop)
    trial = connection.begin_nested()
    try:
        return tuple(
            record_event(connection, reported_of(kept), terms, actor=delivery.shop, now=now, origin=origin)
            for kept in delivery.events or ()
        )
    finally:
        trial.rollback()
