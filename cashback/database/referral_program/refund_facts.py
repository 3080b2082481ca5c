"""What shops' deliveries say of an order's refunds and disputes, kept so that their order of arrival does not matter.

What an order has lost follows from these facts alone: the sum of its refunds, or the largest sum that the shop named,
whichever is more, and its disputes that are not won. Each new fact is settled by the difference to what is recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, exists, func, insert, select

from cashback.database.bulk import among, is_among
from cashback.database.referral_program.refunds import Refund, find_order, record_refund
from cashback.database.tables import referral_refunds, refund_facts
from cashback.domain.earning import Origin, order_key
from cashback.domain.shop_events import EventKind, ShopEvent

WHOLE = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of the refunds and disputes of an order. An amount of None is the whole order."""

    refunds: tuple[int | None, ...]
    in_all: tuple[int | None, ...]
    disputes: dict[str, int | None]
    """The disputes that are not won, by their ids."""
    won: tuple[str, ...]

    def refunded_cents(self, order_cents: int) -> int:
        """Return what of an order's amount was refunded, without disputes."""
        refunds = sum(_cents(one, order_cents) for one in self.refunds)
        return min(order_cents, max([refunds, *(_cents(one, order_cents) for one in self.in_all)]))


def _cents(amount_cents: int | None, order_cents: int) -> int:
    return order_cents if amount_cents is None else amount_cents


def add_fact(connection: Connection, event: ShopEvent, *, now: datetime, origin: Origin) -> bool:
    """Keep what an event says; return False if it is known already."""
    sum_id = WHOLE if event.amount_cents is None else str(event.amount_cents)
    key = {
        "source": origin.source,
        "order_id": order_key(event.order_id),
        "kind": event.kind,
        "refund_id": sum_id if event.kind is EventKind.REFUNDED_IN_ALL else event.refund_id or sum_id,
    }
    # Asked first: the guard against replaced rows refuses a second one, even if it is to be passed over.
    if connection.scalar(select(exists().where(*(refund_facts.c[name] == value for name, value in key.items())))):
        return False
    values = {"amount_cents": event.amount_cents, "recorded_at": now, "intake_number": origin.intake_number}
    connection.execute(insert(refund_facts).values(**key, **values))
    return True


def facts_of(connection: Connection, source: str, order_id: str) -> Facts:
    """Return what is known of an order."""
    query = select(refund_facts).where(refund_facts.c.source == source, refund_facts.c.order_id == order_key(order_id))
    rows = connection.execute(query.order_by(refund_facts.c.kind, refund_facts.c.refund_id)).all()
    won = tuple(row.refund_id for row in rows if row.kind == EventKind.DISPUTE_WON)
    return Facts(
        refunds=tuple(row.amount_cents for row in rows if row.kind == EventKind.REFUNDED),
        in_all=tuple(row.amount_cents for row in rows if row.kind == EventKind.REFUNDED_IN_ALL),
        disputes={
            row.refund_id: row.amount_cents
            for row in rows
            if row.kind == EventKind.DISPUTED and row.refund_id not in won
        },
        won=won,
    )


def delivered_among(connection: Connection, order_ids: Sequence[str], source: str) -> set[str]:
    """Return those of a source's orders of which deliveries named refunds or disputes, by their keys."""
    query = select(refund_facts.c.order_id).where(refund_facts.c.source == source, is_among(refund_facts.c.order_id))
    return set(connection.scalars(query, among(map(order_key, order_ids))))


def take_missing(
    connection: Connection, source: str, order_id: str, *, actor: str, now: datetime, origin: Origin
) -> int:
    """Record what an order has lost by the facts and not by the ledger yet; return the cents."""
    order, facts = find_order(connection, source, order_id), facts_of(connection, source, order_id)
    if order is None:
        return 0
    disputed = _recorded_cents(connection, source, list(facts.disputes))
    lost_cents = facts.refunded_cents(order.amount_cents)
    # Of an order with corrections, the same sum may be missing a second time.
    sum_id = f"{order.order_id}/in-all-{lost_cents}" + (f"-{order.corrections}" if order.corrections else "")
    wanted = {sum_id: lost_cents - (order.refunded_cents - sum(disputed.values()))}
    for dispute_id, cents in facts.disputes.items():
        if dispute_id not in disputed:
            wanted[dispute_id] = _cents(cents, order.amount_cents)
    left_cents = order.left_cents
    for refund_id, cents in wanted.items():
        taken_cents = min(cents, left_cents)
        if taken_cents > 0:
            refund = Refund(order_id=order.order_id, amount_cents=taken_cents, refund_id=refund_id)
            record_refund(connection, refund, actor=actor, now=now, origin=origin)
            left_cents -= taken_cents
    return order.left_cents - left_cents


def _recorded_cents(connection: Connection, source: str, dispute_ids: Sequence[str]) -> dict[str, int]:
    """Return what was recorded of disputes, by their ids."""
    if not dispute_ids:
        return {}
    of_dispute = func.coalesce(referral_refunds.c.part_of, referral_refunds.c.refund_id)
    query = select(of_dispute, func.sum(referral_refunds.c.amount_cents)).where(
        referral_refunds.c.source == source, of_dispute.in_(dispute_ids)
    )
    return {dispute_id: int(cents) for dispute_id, cents in connection.execute(query.group_by(of_dispute))}


_ANY: Final = select(exists().where(refund_facts.c.source == bindparam("source")))


def settle_new(connection: Connection, order_ids: Sequence[str], *, now: datetime, source: str) -> None:
    """Apply what is known of orders that have just been recorded."""
    if not connection.scalar(_ANY, {"source": source}):
        return
    for order_id in sorted(delivered_among(connection, order_ids, source)):
        take_missing(connection, source, order_id, actor=f"shop:{source}", now=now, origin=Origin(source=source))
