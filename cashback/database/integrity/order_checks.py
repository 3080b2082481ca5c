"""Reconciliation of orders: those that waited for a member, refunds that were kept, and corrections."""

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, exists, func, not_, or_, select, union_all

from cashback.database.integrity.checks import finds
from cashback.database.referral_program.corrections import CORRECTED
from cashback.database.referral_program.intakes import RECORDED
from cashback.database.referral_program.refunds import GIVEN_BACK
from cashback.database.referral_program.reports import REFUNDED
from cashback.database.referral_program.undoing import UNDONE
from cashback.database.tables import (
    audit_log,
    intakes,
    kept_refunds,
    order_corrections,
    referral_purchases,
    referral_refunds,
    unmatched_purchases,
)

_WAITED, _BOUGHT, _KEPT, _MADE = unmatched_purchases.c, referral_purchases.c, kept_refunds.c, order_corrections.c


@finds("order {order_id} of {source} is settled as of {buyer_id}, but it is not that member's purchase")
def settled_without_purchase() -> Select[Any]:
    """Find orders that are assigned, and have no purchase."""
    same = and_(_BOUGHT.source == _WAITED.source, _BOUGHT.order_id == _WAITED.order_id)
    return (
        select(_WAITED.source, _WAITED.order_id, _WAITED.buyer_id)
        .join_from(unmatched_purchases, referral_purchases, same, isouter=True)
        .where(_WAITED.buyer_id.is_not(None))
        .where(or_(_BOUGHT.buyer_id.is_(None), _BOUGHT.buyer_id != _WAITED.buyer_id))
    )


@finds("order {order_id} of {source} waits for a member, and is the purchase of {buyer_id}")
def waiting_and_counted() -> Select[Any]:
    """Find orders that wait although they are counted: they could be assigned a second time."""
    same = and_(_BOUGHT.source == _WAITED.source, _BOUGHT.order_id == _WAITED.order_id)
    return (
        select(_WAITED.source, _WAITED.order_id, _BOUGHT.buyer_id)
        .join_from(unmatched_purchases, referral_purchases, same)
        .where(_WAITED.buyer_id.is_(None))
    )


@finds("refund {refund_id} of order {order_id} is kept, although its purchase is there")
def kept_and_not_applied() -> Select[Any]:
    """Find refunds that were kept for a purchase which came, and were not applied."""
    same = and_(_BOUGHT.source == _KEPT.source, _BOUGHT.order_id == _KEPT.order_id)
    return (
        select(_KEPT.refund_id, _KEPT.order_id)
        .join_from(kept_refunds, referral_purchases, same)
        .where(_KEPT.applied_at.is_(None), _KEPT.kind != "given_back", _KEPT.kept_at < _BOUGHT.recorded_at)
    )


@finds("refund {refund_id} of order {order_id} is marked as applied, and its purchase is not there")
def applied_to_nothing() -> Select[Any]:
    """Find refunds that are marked as applied to a purchase which never came."""
    same = and_(_BOUGHT.source == _KEPT.source, _BOUGHT.order_id.in_([_KEPT.order_id, "#" + _KEPT.order_id]))
    return (
        select(_KEPT.refund_id, _KEPT.order_id)
        .join_from(kept_refunds, referral_purchases, same, isouter=True)
        .where(_KEPT.applied_at.is_not(None), _BOUGHT.order_id.is_(None))
    )


@finds("import {number} brought {cents} cents, its orders make {made}")
def wrong_imports() -> Select[Any]:
    """Find imports and commands with other cents than their orders; what brought none is of refunds."""
    # An order that waited is counted by the row that the import brought, also if its purchase came with another.
    waited = exists().where(
        _WAITED.source == _BOUGHT.source,
        _WAITED.order_id == _BOUGHT.order_id,
        _WAITED.intake_number == _BOUGHT.intake_number,
    )
    counted = select(_BOUGHT.intake_number.label("number"), _BOUGHT.amount_cents.label("cents")).where(
        _BOUGHT.intake_number.is_not(None), _BOUGHT.correction_number.is_(None), not_(waited)
    )
    waits = select(_WAITED.intake_number, _WAITED.amount_cents).where(_WAITED.intake_number.is_not(None))
    each = union_all(counted, waits).subquery("each").c
    sums = select(each.number, func.sum(each.cents).label("made")).group_by(each.number).subquery("sums")
    return (
        select(intakes.c.number, intakes.c.cents, sums.c.made)
        .join_from(intakes, sums, sums.c.number == intakes.c.number)
        .where(intakes.c.kind != "delivery", intakes.c.rows > 0, sums.c.made != intakes.c.cents)
    )


@finds("correction {number} of order {order_id} gives back {amount_cents} cents, its purchase is {made}")
def wrong_gifts() -> Select[Any]:
    """Find disputes that were won and gave back another amount than their purchase, or than their refund took."""
    made = func.coalesce(_BOUGHT.amount_cents, 0).label("made")
    taken = (
        select(func.coalesce(func.sum(referral_refunds.c.amount_cents), 0))
        .where(
            referral_refunds.c.source == _MADE.source,
            or_(referral_refunds.c.refund_id == _MADE.refund_id, referral_refunds.c.part_of == _MADE.refund_id),
        )
        .correlate(order_corrections)
        .scalar_subquery()
    )
    return (
        select(_MADE.number, _MADE.order_id, _MADE.amount_cents, made)
        .join_from(order_corrections, referral_purchases, _BOUGHT.correction_number == _MADE.number, isouter=True)
        .where(_MADE.kind == "given_back", or_(made != _MADE.amount_cents, taken != _MADE.amount_cents))
    )


@finds("order {order_id} names correction {correction_number}, which is not there")
def without_correction() -> Select[Any]:
    """Find purchases of corrections that nobody made."""
    return (
        select(_BOUGHT.order_id, _BOUGHT.correction_number)
        .join_from(referral_purchases, order_corrections, _MADE.number == _BOUGHT.correction_number, isouter=True)
        .where(_BOUGHT.correction_number.is_not(None), _MADE.number.is_(None))
    )


@finds("correction {number} of order {order_id} takes {taken} cents off it, and goes on with {made}")
def wrong_reassignments() -> Select[Any]:
    """Find orders that were reassigned with another amount than was left, or to another member."""
    made = func.coalesce(_BOUGHT.amount_cents, 0).label("made")
    taken = (
        select(func.coalesce(func.sum(referral_refunds.c.amount_cents), 0))
        .where(referral_refunds.c.source == _MADE.source, referral_refunds.c.correction_number == _MADE.number)
        .correlate(order_corrections)
        .scalar_subquery()
    )
    return (
        select(_MADE.number, _MADE.order_id, made, taken.label("taken"))
        .join_from(order_corrections, referral_purchases, _BOUGHT.correction_number == _MADE.number, isouter=True)
        .where(_MADE.kind == "reassigned", or_(made != taken, _BOUGHT.buyer_id.is_distinct_from(_MADE.buyer_id)))
    )


@finds("order {order_id} came with import or delivery {intake_number}, which is not there, undone or of another shop")
def without_intake() -> Select[Any]:
    """Find purchases of intakes that are not there, that were undone, or that are another shop's."""
    return (
        select(_BOUGHT.order_id, _BOUGHT.intake_number)
        .join_from(referral_purchases, intakes, intakes.c.number == _BOUGHT.intake_number, isouter=True)
        .where(_BOUGHT.intake_number.is_not(None))
        .where(or_(intakes.c.number.is_(None), intakes.c.undone_at.is_not(None), intakes.c.source != _BOUGHT.source))
    )


def unrecorded(connection: Connection) -> Iterator[str]:
    """Find intakes and corrections that differ from their audit entries, and entries without them."""
    told = _told(connection)
    for what, (action, number), facts, is_needed in _stored(connection):
        found = told.pop((action, number), None)
        if found != [facts] and (is_needed or found is not None):
            yield f"{what} {number} has no audit entry {action}, or another than its row"
    for action, number in told:
        yield f"the audit log has {action} for number {number}, the ledger has not"


_OF_INTAKE: Final = ("source", "kind", "digest", "rows", "cents")
_OF_CORRECTION: Final = ("source", "order_id", "kind", "buyer_id", "amount_cents", "refund_id", "reason")
_ENTRIES: Final = {
    RECORDED: ("intake", _OF_INTAKE),
    REFUNDED: ("intake", _OF_INTAKE),
    UNDONE: ("intake", ("source",)),
    CORRECTED: ("correction", _OF_CORRECTION),
}
"""The kinds of entries: under which name they have the row's number, and which of its facts."""


def _told(connection: Connection) -> dict[tuple[str, int], list[tuple[Any, ...]]]:
    told: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    query = select(audit_log.c.action, audit_log.c.details).where(audit_log.c.action.in_(_ENTRIES))
    for action, text in connection.execute(query.order_by(audit_log.c.id)):
        details = json.loads(text)
        number, names = _ENTRIES[action]
        # A refund that is a command of its own has an entry without a number.
        if number in details:
            # The entry of a delivery of one refund is of the refund's kind.
            key = (RECORDED if action == REFUNDED else action, details[number])
            told.setdefault(key, []).append(tuple(details[name] for name in names))
    return told


def _stored(connection: Connection) -> Iterator[tuple[str, tuple[str, int], tuple[Any, ...], bool]]:
    """Yield what stands in the audit log: the row's kind, the entry's action and number, its facts, and if it must."""
    for row in connection.execute(select(intakes).where(intakes.c.rows > 0)):
        yield "import or delivery", (RECORDED, row.number), tuple(getattr(row, name) for name in _OF_INTAKE), True
        if row.undone_at is not None:
            yield "import or delivery", (UNDONE, row.number), (row.source,), True
    for row in connection.execute(select(order_corrections)):
        # A dispute that was won in a delivery is part of the delivery's entry.
        facts = tuple(getattr(row, name) for name in _OF_CORRECTION)
        yield "correction", (CORRECTED, row.number), facts, row.kind != GIVEN_BACK


CHECKS: Final = (
    applied_to_nothing,
    wrong_imports,
    settled_without_purchase,
    waiting_and_counted,
    kept_and_not_applied,
    wrong_gifts,
    without_correction,
    wrong_reassignments,
    without_intake,
    unrecorded,
)
"""All checks of orders."""
