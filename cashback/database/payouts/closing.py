"""Closing: a batch whose payouts are all settled gets its totals, its end and its audit entry, once."""

from datetime import datetime

from sqlalchemy import Connection

from cashback.database.audit_log import BATCH_FINISHED, add_entry
from cashback.database.payouts import batches, fingerprints, retries
from cashback.database.tables import payout_batches
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchReport, BatchStatus, PayoutStatus


def close(
    connection: Connection, number: int, *, now: datetime, as_lapsed: bool = False, actor: str | None = None
) -> BatchReport:
    """Close a batch whose payouts are all settled, and return its report; one that is closed is reported as it stands.

    The end is `lapsed` or follows from the payouts. Raises StaleBatchError while payouts are still planned.
    """
    totals = batches.totals_of(connection, number)
    if totals[PayoutStatus.PLANNED][0]:
        raise StaleBatchError(f"Batch number {number} still has {totals[PayoutStatus.PLANNED][0]} planned payouts.")
    credited, credited_cents = totals[PayoutStatus.CREDITED]
    failed, skipped = totals[PayoutStatus.FAILED][0], totals[PayoutStatus.SKIPPED][0]
    before = (BatchStatus.APPROVED, BatchStatus.RUNNING, BatchStatus.STOPPED) if as_lapsed else (BatchStatus.RUNNING,)
    status = BatchStatus.COMPLETED_WITH_FAILURES if failed else BatchStatus.COMPLETED
    status = BatchStatus.LAPSED if as_lapsed else status
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status.in_(before))
        .where(payout_batches.c.planned_count == credited + failed + skipped)
        .values(
            status=status,
            finished_at=now,
            credited_count=credited,
            credited_cents=credited_cents,
            failed_count=failed,
            skipped_count=skipped,
        )
    )
    finished = batches.report(connection, number)
    if finished.status in before:
        settled = credited + failed + skipped
        raise StaleBatchError(
            f"Batch number {number} planned {finished.users_planned} payouts, but {settled} are settled."
        )
    if moved.rowcount == 1:
        retries.settle(connection, number)
        details = {
            "batch_id": finished.batch_id,
            "status": status,
            "users_paid": credited,
            "total_cents": credited_cents,
            "failed": failed,
            "skipped": skipped,
            "payouts": fingerprints.of_batch(connection, number, fingerprints.RESULT)[0],
        }
        actor = actor or finished.approved_by or "system"
        add_entry(connection, at=now, actor=actor, action=BATCH_FINISHED, batch_number=number, details=details)
    return finished
