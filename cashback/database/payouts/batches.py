"""How batches stand, read from their rows; and the beginning of each move, a guarded UPDATE."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, Update, and_, bindparam, case, func, select, update

from cashback.database.payouts import exclusions, reversed_sums
from cashback.database.referral_program.people import BEFORE_ALL
from cashback.database.tables import (
    is_open,
    is_settled,
    notifications,
    outbox_counts,
    payout_batches,
    payout_reversals,
    payouts,
)
from cashback.domain.errors import UnknownBatchError
from cashback.domain.model import (
    BatchMode,
    BatchReport,
    BatchStatus,
    NotificationStatus,
    PayoutFailure,
    PayoutStatus,
    ReasonCount,
)

FAILURES_SHOWN: Final = 25
FINISHED: Final = (BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES, BatchStatus.LAPSED)
NUMBER_LENGTH: Final = 19
"""A text of so many digits may be too large for 63 bits."""


_ONE: Final = select(payout_batches).where(payout_batches.c.number == bindparam("batch_number"))


def find(connection: Connection, number: int) -> Row[Any]:
    """Read one batch's row. Raises UnknownBatchError."""
    row = connection.execute(_ONE, {"batch_number": number}).one_or_none()
    if row is None:
        message = f"There is no batch number {number}."
        raise UnknownBatchError(message)
    return row


def moving(number: int) -> Update:
    """Begin the UPDATE that moves one batch; the caller adds the state that it must be in, so that one mover wins."""
    return update(payout_batches).where(payout_batches.c.number == number)


_UNFINISHED: Final = (
    select(payout_batches.c.number)
    .where(is_open, payout_batches.c.status.in_([BatchStatus.APPROVED, BatchStatus.RUNNING]))
    .order_by(payout_batches.c.number)
)


def unfinished(connection: Connection) -> list[int]:
    """List the batches that were approved and are not settled: those that a start must go on with, oldest first."""
    return list(connection.scalars(_UNFINISHED))


def _total_of(status: PayoutStatus) -> tuple[ColumnElement[int], ColumnElement[int]]:
    is_so = payouts.c.status == status
    return func.count(case((is_so, 1))), func.coalesce(func.sum(case((is_so, payouts.c.paid_cents), else_=0)), 0)


# No GROUP BY: it would first sort all payouts, in memory.
_TOTALS: Final = select(*chain.from_iterable(map(_total_of, PayoutStatus))).where(
    payouts.c.batch_number == bindparam("batch_number")
)


def totals_of(connection: Connection, number: int) -> dict[PayoutStatus, tuple[int, int]]:
    """Count a batch's payouts by state, with the cents that each state paid."""
    found = iter(connection.execute(_TOTALS, {"batch_number": number}).one())
    return {status: (count, cents) for status, count, cents in zip(PayoutStatus, found, found, strict=True)}


def report(connection: Connection, number: int, *, failures: int = FAILURES_SHOWN) -> BatchReport:
    """Return how a batch stands, from the rows, with at most `failures` of its failed payouts."""
    batch = find(connection, number)
    totals = _stored_totals(batch) if batch.status in FINISHED else totals_of(connection, number)
    taken_back = reversed_sums.of_batch(connection, number)
    direct_messages = _count_notifications(connection, number, credited=totals[PayoutStatus.CREDITED][0])
    failed = totals[PayoutStatus.FAILED][0]
    skips = _skips_of(connection, number) if totals[PayoutStatus.SKIPPED][0] else ()
    return BatchReport(
        batch_number=number,
        batch_id=batch.batch_id,
        status=BatchStatus(batch.status),
        mode=BatchMode(batch.mode),
        target_user_id=batch.target_user_id,
        proposed_by=batch.proposed_by,
        approved_by=batch.approved_by,
        proposed_at=batch.proposed_at,
        finished_at=batch.finished_at,
        users_planned=batch.planned_count,
        approved_cents=batch.planned_cents,
        users_paid=totals[PayoutStatus.CREDITED][0],
        total_cents=totals[PayoutStatus.CREDITED][1],
        failed=failed,
        skipped=totals[PayoutStatus.SKIPPED][0],
        skips=skips,
        left_out=exclusions.counted(connection, number) if batch.left_out_count else (),
        needs_second_approver=batch.needs_second_approver,
        first_approved_by=batch.first_approved_by,
        token=batch.token or "",
        lapses_at=batch.lapses_at,
        reversed_count=taken_back.count,
        reversed_cents=taken_back.cents,
        shortfall_cents=taken_back.shortfall_cents,
        failures=tuple(failed_payouts(connection, number, limit=min(failures, failed))) if failed else (),
        dm_queued=direct_messages.get(NotificationStatus.QUEUED, 0),
        dm_sent=direct_messages.get(NotificationStatus.SENT, 0),
        dm_undeliverable=direct_messages.get(NotificationStatus.UNDELIVERABLE, 0),
        dm_failed=direct_messages.get(NotificationStatus.FAILED, 0),
        dm_muted=direct_messages.get(NotificationStatus.MUTED, 0),
    )


def _skips_of(connection: Connection, number: int) -> tuple[ReasonCount, ...]:
    """Count a batch's skipped payouts by reason, with the cents that were approved for them."""
    query = (
        select(payouts.c.reason, func.count(), func.sum(payouts.c.approved_cents))
        .where(payouts.c.batch_number == number, payouts.c.status == PayoutStatus.SKIPPED)
        .group_by(payouts.c.reason)
        .order_by(payouts.c.reason)
    )
    return tuple(
        ReasonCount(reason=reason or "", count=count, cents=cents) for reason, count, cents in connection.execute(query)
    )


def _stored_totals(batch: Row[Any]) -> dict[PayoutStatus, tuple[int, int]]:
    """Take the totals that a finished batch stores, so that an old one costs nothing to read however large it is."""
    return {
        PayoutStatus.PLANNED: (0, 0),
        PayoutStatus.CREDITED: (batch.credited_count, batch.credited_cents),
        PayoutStatus.FAILED: (batch.failed_count, 0),
        PayoutStatus.SKIPPED: (batch.skipped_count, 0),
    }


_SETTLED_NOTIFICATIONS: Final = (
    select(notifications.c.status, func.count())
    .where(is_settled, notifications.c.batch_number == bindparam("batch_number"))
    .group_by(notifications.c.status)
    .union_all(
        select(outbox_counts.c.status, outbox_counts.c.messages).where(
            outbox_counts.c.batch_number == bindparam("batch_number")
        )
    )
)


def _count_notifications(connection: Connection, number: int, *, credited: int) -> dict[str, int]:
    """Count a batch's direct messages by state, from an index and from what was thinned: the rest is queued."""
    found = connection.execute(_SETTLED_NOTIFICATIONS, {"batch_number": number})
    settled: Counter[str] = Counter()
    for status, count in found:
        settled[status] += count
    return {**settled, NotificationStatus.QUEUED: max(credited - settled.total(), 0)}


def failed_payouts(connection: Connection, number: int, *, limit: int) -> Iterable[PayoutFailure]:
    """List a batch's failed payouts in key order."""
    query = (
        select(payouts.c.referrer_id, payouts.c.approved_cents, payouts.c.reason)
        .where(payouts.c.batch_number == number, payouts.c.status == PayoutStatus.FAILED)
        .order_by(payouts.c.referrer_id)
        .limit(limit)
    )
    for row in connection.execute(query):
        yield PayoutFailure(referrer_id=row.referrer_id, approved_cents=row.approved_cents, reason=row.reason or "")


def find_by_id(connection: Connection, batch_id: str) -> int:
    """Return the number of the batch with this ID. Raises UnknownBatchError."""
    number: int | None = connection.scalars(
        select(payout_batches.c.number).where(payout_batches.c.batch_id == batch_id)
    ).one_or_none()
    if number is None:
        message = f"There is no batch {batch_id}; the history lists those that there are."
        raise UnknownBatchError(message)
    return number


def find_named(connection: Connection, name: str) -> int:
    """Return the number of the batch that a person names by its ID, or by its number. Raises UnknownBatchError."""
    if name.isascii() and name.isdigit() and len(name) < NUMBER_LENGTH:
        return int(find(connection, int(name)).number)
    return find_by_id(connection, name.upper())


def history(connection: Connection, *, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """List batches, newest first, with their stored totals."""
    query = select(payout_batches).order_by(payout_batches.c.number.desc()).limit(limit).offset(offset)
    return [dict(row) for row in connection.execute(query).mappings()]


def payouts_with_reversed() -> Select[Any]:
    """Select payouts, each with the cents that a reversal returned of it as `reversed_cents`."""
    of_both = and_(
        payout_reversals.c.batch_number == payouts.c.batch_number,
        payout_reversals.c.referrer_id == payouts.c.referrer_id,
    )
    reversed_cents = func.coalesce(payout_reversals.c.amount_cents, 0).label("reversed_cents")
    return select(payouts, reversed_cents).join_from(payouts, payout_reversals, of_both, isouter=True)


def payouts_of(
    connection: Connection, number: int, *, limit: int, after_referrer_id: int = BEFORE_ALL
) -> list[dict[str, Any]]:
    """List a batch's payouts in key order, a page at a time, each with the cents that were reversed of it."""
    query = (
        payouts_with_reversed()
        .where(payouts.c.batch_number == number, payouts.c.referrer_id > after_referrer_id)
        .order_by(payouts.c.referrer_id)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
