"""Recovery: an approved batch is started, perhaps stopped and resumed, and closed when its last payout is settled."""

from datetime import datetime

from sqlalchemy import Connection, func, update

from cashback.database.audit_log import BATCH_FINISHED, add_entry
from cashback.database.payouts import batches, fingerprints, retries
from cashback.database.tables import payout_batches, payouts
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchReport, BatchStatus, PayoutStatus, SkipReason


def start(connection: Connection, number: int, *, now: datetime) -> bool:
    """Move an approved batch to running; True where it runs now, also when it ran before a crash.

    A stopped one stays stopped, whoever hands it to the runner: only `resume` sets it going.
    """
    batch = batches.find(connection, number)
    if batch.status == BatchStatus.RUNNING:
        return True
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.APPROVED)
        .values(status=BatchStatus.RUNNING, started_at=batch.started_at or now)
    )
    return bool(moved.rowcount == 1)


def stop(connection: Connection, number: int, *, actor: str, now: datetime) -> None:
    """Stop a batch: what is credited stays, and nothing more is paid until somebody resumes it or gives the rest up.

    Raises StaleBatchError where it neither runs nor waits to, or has nothing left to pay.
    """
    left, _ = batches.totals_of(connection, number)[PayoutStatus.PLANNED]
    stoppable = payout_batches.c.status.in_([BatchStatus.APPROVED, BatchStatus.RUNNING])
    moved = left and connection.execute(batches.moving(number).where(stoppable).values(status=BatchStatus.STOPPED))
    if not moved or moved.rowcount != 1:
        raise StaleBatchError(f"{_standing(connection, number)}; there is nothing to stop.")
    add_entry(connection, at=now, actor=actor, action="batch_stopped", batch_number=number, details={"left": left})


def resume(connection: Connection, number: int, *, actor: str, now: datetime) -> None:
    """Move a stopped batch back to running. Raises StaleBatchError where it is not stopped."""
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.STOPPED)
        .values(status=BatchStatus.RUNNING, started_at=func.coalesce(payout_batches.c.started_at, now))
    )
    if moved.rowcount != 1:
        raise StaleBatchError(f"{_standing(connection, number)}; there is nothing to resume.")
    add_entry(connection, at=now, actor=actor, action="batch_resumed", batch_number=number)


def abandon(connection: Connection, number: int, *, actor: str, now: datetime) -> BatchReport:
    """Give up what a stopped batch has not paid, or what failed in a finished one; return the batch's report.

    The payouts are skipped with that reason and the batch is closed; the cashback stays pending for a later batch.
    Raises StaleBatchError where there is nothing to give up.
    """
    given_up = {BatchStatus.STOPPED: PayoutStatus.PLANNED, BatchStatus.COMPLETED_WITH_FAILURES: PayoutStatus.FAILED}
    before = BatchStatus(batches.find(connection, number).status)
    moved = before in given_up and connection.execute(
        batches.moving(number).where(payout_batches.c.status == before).values(status=BatchStatus.RUNNING)
    )
    if not moved or moved.rowcount != 1:
        raise StaleBatchError(f"{_standing(connection, number)}; there is nothing to give up.")
    dropped = connection.execute(
        update(payouts)
        .where(payouts.c.batch_number == number, payouts.c.status == given_up[before])
        .values(status=PayoutStatus.SKIPPED, reason=SkipReason.ABANDONED, settled_at=now)
    )
    details = {"users": dropped.rowcount}
    add_entry(connection, at=now, actor=actor, action="batch_given_up", batch_number=number, details=details)
    return finish(connection, number, now=now)


def _standing(connection: Connection, number: int) -> str:
    batch = batches.find(connection, number)
    return f"Batch {batch.batch_id or number} is {batch.status.replace('_', ' ')}"


def finish(connection: Connection, number: int, *, now: datetime) -> BatchReport:
    """Close a running batch whose payouts are all settled, with its totals and its audit entry; return its report.

    A batch that another process finished first, or that an admin has stopped, is reported as it stands. Raises
    StaleBatchError while payouts are still planned: then somebody ended the run early, and the batch stays running.
    """
    if batches.find(connection, number).status == BatchStatus.STOPPED:
        return batches.report(connection, number)
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
        add_entry(
            connection,
            at=now,
            actor=finished.approved_by or "system",
            action=BATCH_FINISHED,
            batch_number=number,
            details=details,
        )
    return finished
