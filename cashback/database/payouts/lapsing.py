"""Lapsing: an approval ages. What a batch has not paid by then is skipped, pending again, and needs a new approval."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from cashback.database.audit_log import add_entry
from cashback.database.payouts import batches, closing
from cashback.database.tables import has_failures, is_open, payout_batches, payouts
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchStatus, PayoutStatus, SkipReason

UNPAID = (PayoutStatus.PLANNED, PayoutStatus.FAILED)


def require_valid(batch: Row[Any], now: datetime) -> None:
    """Raise StaleBatchError if a batch's approval has lapsed."""
    if batch.lapses_at is not None and now >= batch.lapses_at:
        raise StaleBatchError(
            f"The approval of batch {batch.batch_id or batch.number} lapsed at {batch.lapses_at:%Y-%m-%d %H:%M:%S} UTC;"
            " what is left is pending again. Ask for a new summary."
        )


def _lapse(connection: Connection, batch: Row[Any], *, now: datetime) -> None:
    """Close a batch whose approval has lapsed."""
    is_finished = batch.status == BatchStatus.COMPLETED_WITH_FAILURES
    if is_finished:
        connection.execute(
            batches.moving(batch.number).where(has_failures).values(status=BatchStatus.RUNNING, finished_at=None)
        )
    skipped = connection.execute(
        update(payouts)
        .where(payouts.c.batch_number == batch.number, payouts.c.status.in_(UNPAID))
        .values(status=PayoutStatus.SKIPPED, reason=SkipReason.LAPSED, settled_at=now)
    )
    add_entry(
        connection,
        at=now,
        actor="system",
        action="batch_lapsed",
        batch_number=batch.number,
        details={"users": skipped.rowcount, "approved_at": batch.approved_at.isoformat()},
    )
    closing.close(connection, batch.number, now=now, as_lapsed=not is_finished, actor="system")


def lapse_due(connection: Connection, *, now: datetime) -> list[int]:
    """Close every batch whose approval has lapsed by now; return their numbers, oldest first."""
    stopped = payout_batches.c.status == BatchStatus.STOPPED
    query = (
        select(payout_batches)
        .where(or_(is_open, has_failures, stopped), payout_batches.c.lapses_at <= now)
        .order_by(payout_batches.c.number)
    )
    lapsed = connection.execute(query).all()
    for batch in lapsed:
        _lapse(connection, batch, now=now)
    return [batch.number for batch in lapsed]
