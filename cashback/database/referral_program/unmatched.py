"""Purchases without a member, as of a guest checkout: they wait until an admin or a proof assigns them.

Nothing of them is used up: if the shop reports the order again with its buyer, that counts. A refund of a waiting order
is kept like one of any order that is not known.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, delete, exists, insert, select

from cashback.database.audit_log import add_entry
from cashback.database.bulk import among, execute_many, is_among
from cashback.database.referral_program.people import check_id
from cashback.database.referral_program.purchases import (
    REPEATED,
    Purchase,
    PurchaseOutcome,
    RecordedPurchase,
    known_orders,
    record_purchases,
)
from cashback.database.referral_program.refunds import find_order
from cashback.database.tables import is_unmatched, unmatched_hints, unmatched_purchases
from cashback.domain.earning import ANY_TIME, FROM_MAIN, MAIN, EarningDates, Origin, order_key
from cashback.domain.errors import OrderRefusedError

ASSIGNED: Final = "purchase_assigned"
DEFAULT_DAYS: Final = 30
WAITING: Final = RecordedPurchase(outcome=PurchaseOutcome.WAITING)
_HINT: Final = re.compile("[0-9a-f]{64}")


class UnmatchedPurchase(NamedTuple):
    """A purchase without a member. Each hint is a keyed SHA-256 in hexadecimal digits, never personal data."""

    order_id: str
    amount_cents: int
    purchased_at: datetime | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A purchase that waits for its member."""

    source: str
    order_id: str
    amount_cents: int
    purchased_at: datetime
    recorded_at: datetime
    waits_until: datetime


def record_unmatched(
    connection: Connection,
    purchases: Sequence[UnmatchedPurchase],
    rate_ppm: int,
    now: datetime,
    *,
    days: int = DEFAULT_DAYS,
    origin: Origin = FROM_MAIN,
) -> list[bool]:
    """Have purchases wait for `days`; return for each whether it is new: neither waiting nor counted already."""
    _forget_hints(connection, now)
    keys = [order_key(purchase.order_id) for purchase in purchases]
    there = recorded_among(connection, keys, origin.source)
    are_new = []
    rows, hints = [], []
    for key, purchase in zip(keys, purchases, strict=True):
        are_new.append(key not in there)
        if key in there:
            continue
        there.add(key)
        _require_hashes(purchase)
        hints += [(hint, origin.source, key) for hint in dict.fromkeys(purchase.hints)]
        bought = (purchase.amount_cents, rate_ppm, purchase.purchased_at or now)
        rows.append((origin.source, key, *bought, now, now + timedelta(days=days), origin.intake_number))
    execute_many(connection, _WAIT, _WAIT_COLUMNS, rows)
    execute_many(connection, _HINT_AT, ("hint", "source", "order_id"), hints)
    return are_new


def recorded_among(connection: Connection, order_ids: Sequence[str], source: str) -> set[str]:
    """Return those of a source's orders that are recorded, with a member or without, by their keys."""
    keys = [order_key(order_id) for order_id in order_ids]
    query = select(unmatched_purchases.c.order_id).where(
        unmatched_purchases.c.source == source, is_among(unmatched_purchases.c.order_id)
    )
    return {*known_orders(connection, keys, source), *connection.scalars(query, among(keys))}


def brought_by(connection: Connection, order_ids: Sequence[str], intake_number: int) -> set[str]:
    """Return those of these orders that wait since this import or delivery, by their keys."""
    query = select(unmatched_purchases.c.order_id).where(
        unmatched_purchases.c.intake_number == intake_number, is_among(unmatched_purchases.c.order_id)
    )
    return set(connection.scalars(query, among(map(order_key, order_ids))))


_WAIT: Final = insert(unmatched_purchases)
_WAIT_COLUMNS: Final = (
    "source",
    "order_id",
    "amount_cents",
    "rate_ppm",
    "purchased_at",
    "recorded_at",
    "waits_until",
    "intake_number",
)
_HINT_AT: Final = insert(unmatched_hints)


def _require_hashes(purchase: UnmatchedPurchase) -> None:
    if any(not _HINT.fullmatch(hint) for hint in purchase.hints):
        message = f"A hint of order {purchase.order_id} is not a keyed hash of 64 hexadecimal digits."
        raise ValueError(message)


def record_reported(
    connection: Connection,
    reported: Sequence[Purchase | UnmatchedPurchase],
    rate_ppm: int,
    now: datetime,
    *,
    holding_days: int = 0,
    unmatched_days: int = DEFAULT_DAYS,
    dates: EarningDates = ANY_TIME,
    origin: Origin = FROM_MAIN,
    actor: str = "shop",
) -> list[RecordedPurchase]:
    """Record purchases of members and of guests; return the outcome of each, in the order given."""
    known = [purchase for purchase in reported if isinstance(purchase, Purchase)]
    recorded = record_purchases(
        connection, known, rate_ppm, now, holding_days=holding_days, dates=dates, origin=origin, actor=actor
    )
    guests = [purchase for purchase in reported if isinstance(purchase, UnmatchedPurchase)]
    are_new = record_unmatched(connection, guests, rate_ppm, now, days=unmatched_days, origin=origin) if guests else []
    of_members, of_guests = iter(recorded), iter(are_new)
    return [
        next(of_members) if isinstance(purchase, Purchase) else WAITING if next(of_guests) else REPEATED
        for purchase in reported
    ]


def _forget_hints(connection: Connection, now: datetime) -> None:
    """Delete the hints of purchases that wait no longer."""
    of_it = (
        unmatched_purchases.c.source == unmatched_hints.c.source,
        unmatched_purchases.c.order_id == unmatched_hints.c.order_id,
    )
    connection.execute(delete(unmatched_hints).where(exists().where(*of_it, unmatched_purchases.c.waits_until <= now)))


_COLUMNS: Final = (
    unmatched_purchases.c.source,
    unmatched_purchases.c.order_id,
    unmatched_purchases.c.amount_cents,
    unmatched_purchases.c.purchased_at,
    unmatched_purchases.c.recorded_at,
    unmatched_purchases.c.waits_until,
)


def waiting(connection: Connection, now: datetime, *, limit: int) -> list[Waiting]:
    """List the purchases that wait for their member, those that wait shortest first."""
    query = select(*_COLUMNS).where(is_unmatched, unmatched_purchases.c.waits_until > now)
    query = query.order_by(unmatched_purchases.c.waits_until, unmatched_purchases.c.order_id).limit(limit)
    return [Waiting(**row) for row in connection.execute(query).mappings()]


def find_waiting(connection: Connection, order_id: str, source: str = MAIN) -> Waiting | None:
    """Find a purchase that was recorded without a member and is not assigned yet, even if it waits no longer."""
    query = select(*_COLUMNS).where(is_unmatched, *_is(source, order_id))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else Waiting(**row)


def hinted(connection: Connection, hints: Sequence[str], now: datetime) -> list[Waiting]:
    """List the waiting purchases that have one of these hints."""
    query = (
        select(*_COLUMNS)
        .join_from(unmatched_purchases, unmatched_hints)
        .where(is_unmatched, unmatched_purchases.c.waits_until > now, is_among(unmatched_hints.c.hint))
        .distinct()
        .order_by(unmatched_purchases.c.source, unmatched_purchases.c.order_id)
    )
    return [Waiting(**row) for row in connection.execute(query, among(hints)).mappings()]


def assign(
    connection: Connection,
    order_id: str,
    member_id: int,
    *,
    actor: str,
    now: datetime,
    source: str = MAIN,
    reason: str | None = None,
    holding_days: int = 0,
    dates: EarningDates = ANY_TIME,
) -> RecordedPurchase:
    """Assign a waiting purchase to its member, once; it earns by its own day, at the rate of the day it was recorded.

    Raises OrderRefusedError if it does not wait: it is not known, assigned already, or waited too long.
    """
    check_id(member_id, "Member")
    row = _require_waiting(connection, order_id, source, now)
    purchase = Purchase(row.order_id, member_id, row.amount_cents, row.purchased_at)
    origin = Origin(source=source, intake_number=row.intake_number)
    [recorded] = record_purchases(
        connection, [purchase], row.rate_ppm, now, holding_days=holding_days, dates=dates, origin=origin, actor=actor
    )
    details = {
        "source": source,
        "order_id": row.order_id,
        "member_id": member_id,
        "amount_cents": row.amount_cents,
        "earned_cents": recorded.earned_cents,
        "reason": reason,
    }
    add_entry(connection, at=now, actor=actor, action=ASSIGNED, details=details)
    return recorded


def _is(source: str, order_id: str) -> tuple[Any, Any]:
    return unmatched_purchases.c.source == source, unmatched_purchases.c.order_id == order_key(order_id)


def _require_waiting(connection: Connection, order_id: str, source: str, now: datetime) -> Row[Any]:
    row = connection.execute(select(unmatched_purchases).where(*_is(source, order_id))).one_or_none()
    if row is not None and row.buyer_id is None and row.waits_until > now:
        return row
    order = find_order(connection, source, order_id)
    if order is not None:
        message = f"Order {order_id} is the purchase of member {order.buyer_id} already; nothing was changed."
    elif row is not None:
        message = (
            f"Order {order_id} waited for its member until {row.waits_until:%Y-%m-%d}; record it with"
            " `cashback purchase` if it should count. Nothing was changed."
        )
    else:
        message = f"Order {order_id} of shop {source} does not wait for a member; check the id. Nothing was changed."
    raise OrderRefusedError(message)
