"""A batch's payouts in pages, largest first. A page follows a referrer's payout and costs what it shows."""

from typing import Any, Final

from sqlalchemy import Connection, Select, select

from cashback.database.bulk import among, is_among
from cashback.database.payouts.batches import payouts_with_reversed
from cashback.database.queries.browsing import Page
from cashback.database.tables import is_not_paid, payouts
from cashback.domain.model import PayoutStatus

SCANNED: Final = 200
LOOKED_THROUGH: Final = 1_000
"""Payouts that one page scans for the credited or planned ones: a page that finds few says where to continue."""

NOT_PAID: Final = frozenset({PayoutStatus.FAILED, PayoutStatus.SKIPPED})
"""The states with an index of their own; they are few."""

_size = payouts.c.approved_cents
_id = payouts.c.referrer_id


def payouts_page(
    connection: Connection, number: int, *, after_referrer_id: int, limit: int, status: PayoutStatus | None = None
) -> Page:
    """List the payouts of a batch that follow a referrer's, optionally those in one state.

    0, or a referrer without a payout in the batch, begins at the largest.
    """
    if status is None or status in NOT_PAID:
        query = payouts_with_reversed().where(payouts.c.batch_number == number)
        if status is not None:
            query = query.where(is_not_paid, payouts.c.status == status)
        rows = [dict(row) for row in _following(connection, number, after_referrer_id, query, limit + 1)]
        return Page(rows=rows[:limit], next_after=rows[limit - 1]["referrer_id"] if len(rows) > limit else None)
    keys = select(_id, payouts.c.status).where(payouts.c.batch_number == number)
    found: list[int] = []
    for _ in range(LOOKED_THROUGH // SCANNED):
        scanned = _following(connection, number, after_referrer_id, keys, SCANNED)
        found += [row["referrer_id"] for row in scanned if row["status"] == status]
        if len(found) > limit:
            return Page(rows=_payouts_of(connection, number, found[:limit]), next_after=found[limit - 1])
        if len(scanned) < SCANNED:
            return Page(rows=_payouts_of(connection, number, found), next_after=None)
        after_referrer_id = scanned[-1]["referrer_id"]
    return Page(rows=_payouts_of(connection, number, found), next_after=after_referrer_id)


def page_before(connection: Connection, number: int, *, after_referrer_id: int, limit: int) -> int:
    """Return the referrer that the page before the one after this referrer follows; 0 for the first page."""
    keys = select(_id).where(payouts.c.batch_number == number)
    before = _following(connection, number, after_referrer_id, keys, limit, is_backwards=True)
    return before[-1]["referrer_id"] if len(before) == limit else 0


def payout_of(connection: Connection, number: int, referrer_id: int) -> list[dict[str, Any]]:
    """Find one referrer's payout in a batch: a list of one or zero rows."""
    query = payouts_with_reversed().where(payouts.c.batch_number == number, _id == referrer_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _payouts_of(connection: Connection, number: int, referrer_ids: list[int]) -> list[dict[str, Any]]:
    """Find these referrers' payouts, in this order. Ordered by the database, the whole batch would be searched."""
    query = payouts_with_reversed().where(payouts.c.batch_number == number, is_among(_id))
    rows = {row["referrer_id"]: dict(row) for row in connection.execute(query, among(referrer_ids)).mappings()}
    return [rows[referrer_id] for referrer_id in referrer_ids]


def _following(
    connection: Connection,
    number: int,
    referrer_id: int,
    query: Select[Any],
    limit: int,
    *,
    is_backwards: bool = False,
) -> list[Any]:
    """Read the rows that follow a referrer's payout, or come before it: equal amounts by id, then the other amounts.

    Two searches, because no database finds the place by an amount that falls and an id that rises.
    """
    first, then = (_size.asc(), _id.desc()) if is_backwards else (_size.desc(), _id.asc())
    place = select(_size).where(payouts.c.batch_number == number, _id == referrer_id)
    size = connection.scalars(place).one_or_none()
    if size is None:
        return [] if is_backwards else list(connection.execute(query.order_by(first, then).limit(limit)).mappings())
    further, other = (_id < referrer_id, _size > size) if is_backwards else (_id > referrer_id, _size < size)
    rows = list(connection.execute(query.where(_size == size, further).order_by(then).limit(limit)).mappings())
    if len(rows) < limit:
        rest = query.where(other).order_by(first, then).limit(limit - len(rows))
        rows += connection.execute(rest).mappings()
    return rows
