"""Reconciliation of deliveries: each that changed something is one intake, with its audit entry and its digest."""

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, not_, or_, select

from cashback.database.integrity.checks import finds
from cashback.database.referral_program.refund_facts import facts_of
from cashback.database.referral_program.refunds import find_order
from cashback.database.shops.buyers import LINKED
from cashback.database.shops.deliveries import DELIVERY
from cashback.database.shops.events import CHANGES
from cashback.database.tables import (
    audit_log,
    intakes,
    member_emails,
    referral_purchases,
    refund_facts,
    shop_deliveries,
)
from cashback.domain.earning import MAIN
from cashback.domain.shop_events import EventKind

_DELIVERED, _INTAKE, _FACT = shop_deliveries.c, intakes.c, refund_facts.c


@finds("delivery {number} of {shop} is {outcome}, but its import or delivery is missing or another one")
def without_intake() -> Select[Any]:
    """Find deliveries that changed something and have no intake of their digest, and others that have one."""
    differs = or_(
        _INTAKE.number.is_(None),
        _INTAKE.kind != DELIVERY,
        _INTAKE.source != _DELIVERED.shop,
        _INTAKE.digest != _DELIVERED.digest,
    )
    changes = _DELIVERED.outcome.in_([str(outcome) for outcome in CHANGES])
    return (
        select(_DELIVERED.number, _DELIVERED.shop, _DELIVERED.outcome)
        .join_from(shop_deliveries, intakes, _INTAKE.number == _DELIVERED.intake_number, isouter=True)
        .where(or_(and_(changes, differs), and_(not_(changes), _DELIVERED.intake_number.is_not(None))))
    )


@finds("import or delivery {number} of {source} is a shop's, but its delivery is not there")
def without_delivery() -> Select[Any]:
    """Find what shops delivered without the delivery. Under `main`, shops report through the signed API as well."""
    is_shops = and_(_INTAKE.kind == DELIVERY, _INTAKE.source != MAIN, _INTAKE.actor == "shop:" + _INTAKE.source)
    return (
        select(_INTAKE.number, _INTAKE.source)
        .join_from(intakes, shop_deliveries, _DELIVERED.intake_number == _INTAKE.number, isouter=True)
        .where(is_shops, _DELIVERED.number.is_(None))
    )


@finds("what is known of order {order_id} of {source} came with delivery {intake_number}, which is not there")
def facts_without_intake() -> Select[Any]:
    """Find facts of refunds and disputes that no delivery brought."""
    return (
        select(_FACT.source, _FACT.order_id, func.coalesce(_FACT.intake_number, 0).label("intake_number"))
        .join_from(refund_facts, intakes, and_(_INTAKE.number == _FACT.intake_number, _INTAKE.rows > 0), isouter=True)
        .where(_INTAKE.number.is_(None))
    )


def other_contents(connection: Connection) -> Iterator[str]:
    """Find deliveries with other kept contents than the purchases and facts that they brought."""
    query = select(_DELIVERED.number, _DELIVERED.shop, _DELIVERED.intake_number, _DELIVERED.events)
    changed = query.where(_DELIVERED.events.is_not(None), _DELIVERED.intake_number.is_not(None))
    for row in connection.execute(changed.order_by(_DELIVERED.number)).all():
        told = [event for event in json.loads(row.events) if event["outcome"] in CHANGES]
        orders = {(event["order_id"], event["amount_cents"]) for event in told if event["event"] == EventKind.PAID}
        facts = {
            (event["order_id"], event["event"], event["amount_cents"])
            for event in told
            if event["event"] != EventKind.PAID
        }
        if facts != _facts_from(connection, row.intake_number) or not _bought_from(connection, row) <= orders:
            yield f"delivery {row.number} of {row.shop} tells of other orders or amounts than the ledger has"


def _facts_from(connection: Connection, intake_number: int) -> set[tuple[Any, ...]]:
    query = select(_FACT.order_id, _FACT.kind, _FACT.amount_cents).where(_FACT.intake_number == intake_number)
    return {tuple(fact) for fact in connection.execute(query)}


def _bought_from(connection: Connection, row: Any) -> set[tuple[Any, ...]]:  # noqa: ANN401 -- a row of the table
    bought = referral_purchases.c
    query = select(bought.order_id, bought.amount_cents).where(
        bought.intake_number == row.intake_number, bought.source == row.shop, bought.correction_number.is_(None)
    )
    return {tuple(purchase) for purchase in connection.execute(query)}


def not_taken(connection: Connection) -> Iterator[str]:
    """Find orders that have lost more by their deliveries than the ledger has recorded."""
    for source, order_id in connection.execute(select(_FACT.source, _FACT.order_id).distinct()).all():
        order = find_order(connection, source, order_id)
        if order is None:
            continue
        facts = facts_of(connection, source, order_id)
        disputed = sum(order.amount_cents if cents is None else cents for cents in facts.disputes.values())
        lost_cents = min(order.amount_cents, facts.refunded_cents(order.amount_cents) + disputed)
        if order.refunded_cents < lost_cents:
            yield f"order {order_id} of {source} has lost {lost_cents} cents, {order.refunded_cents} are recorded"


def other_links(connection: Connection) -> Iterator[str]:
    """Find linked e-mails that differ from their entries in the audit log."""
    query = select(audit_log.c.details).where(audit_log.c.action == LINKED)
    told = {(entry["email_hash"], entry["member_id"]) for entry in map(json.loads, connection.scalars(query))}
    stored = {tuple(row) for row in connection.execute(select(member_emails.c.email_hash, member_emails.c.member_id))}
    for _, member_id in sorted(told ^ stored):
        yield f"an e-mail is linked to member {member_id} otherwise than the audit log tells"


CHECKS: Final = (without_intake, without_delivery, facts_without_intake, other_contents, not_taken, other_links)
"""All checks of deliveries."""
