"""Runs: an approved batch is started, and closed when its last payout is settled."""

from datetime import datetime

from sqlalchemy import Connection

from database import batches, fingerprints
from database.audit_log import BATCH_FINISHED, add_entry
from database.tables import payout_batches
from pipeline.errors import StaleBatchError
from pipeline.messages import BatchReport, BatchStatus, PayoutStatus


def start(connection: Connection, number: int, *, now: datetime) -> bool:
    """Move an approved or stopped batch to running; True where it runs now, also when it ran before a crash."""
    batch = batches.find(connection, number)
    if batch.status == BatchStatus.RUNNING:
        return True
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status.in_([BatchStatus.APPROVED, BatchStatus.STOPPED]))
        .values(status=BatchStatus.RUNNING, started_at=batch.started_at or now)
    )
    return bool(moved.rowcount == 1)


def finish(connection: Connection, number: int, *, now: datetime) -> BatchReport:
    """Close a running batch whose payouts are all settled, with its totals and its audit entry; return its report.

    A batch that another process finished first is reported as it stands. Raises StaleBatchError while payouts are
    still planned: then somebody ended the run early, and the batch stays running.
    """
    totals = batches.totals_of(connection, number)
    if totals[PayoutStatus.PLANNED][0]:
        message = f"Batch number {number} still has {totals[PayoutStatus.PLANNED][0]} planned payouts."
        raise StaleBatchError(message)
    credited, credited_cents = totals[PayoutStatus.CREDITED]
    failed, skipped = totals[PayoutStatus.FAILED][0], totals[PayoutStatus.SKIPPED][0]
    status = BatchStatus.COMPLETED_WITH_FAILURES if failed else BatchStatus.COMPLETED
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.RUNNING)
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
    if finished.status == BatchStatus.RUNNING:
        settled = credited + failed + skipped
        message = f"Batch number {number} planned {finished.users_planned} payouts, but {settled} are settled."
        raise StaleBatchError(message)
    if moved.rowcount == 1:
        details = {
            "batch_id": finished.batch_id,
            "status": status,
            "users_paid": credited,
            "total_cents": credited_cents,
            "failed": failed,
            "skipped": skipped,
            "payouts": fingerprints.of_batch(connection, number, fingerprints.RESULT),
        }
        add_entry(
            connection,
            at=now,
            actor=finished.approved_by or "system",
            action=BATCH_FINISHED,
            batch_number=number,
            details=details,
        )
    return finished
