"""Recovery: an approved batch is started, perhaps stopped and resumed, and closed when its last payout is settled."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, func, update

from cashback.database.audit_log import add_entry
from cashback.database.payouts import approvals, batches, closing, fingerprints, lapsing
from cashback.database.tables import payout_batches, payouts
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchReport, BatchStatus, PayoutStatus, SkipReason


class Start(StrEnum):
    """How the start of a batch ended."""

    RUNNING = "running"
    NOT_STARTED = "not_started"


def start(connection: Connection, number: int, *, now: datetime) -> Start:
    """Move an approved batch to running; one that ran before a crash runs on.

    A stopped one stays stopped, whoever hands it to the runner: only `resume` sets it going. Raises StaleBatchError if
    the approval has lapsed or the plan is not the one that was proposed. This closes no lapsed batch, because the clock
    may be wrong: the code that compares clocks does.
    """
    batch = batches.find(connection, number)
    if batch.status not in {BatchStatus.APPROVED, BatchStatus.RUNNING}:
        return Start.NOT_STARTED
    lapsing.require_valid(batch, now)
    fingerprints.require_plan_as_shown(connection, batch)
    if batch.status == BatchStatus.RUNNING:
        return Start.RUNNING
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.APPROVED)
        .values(status=BatchStatus.RUNNING, started_at=batch.started_at or now)
    )
    return Start.RUNNING if moved.rowcount == 1 else Start.NOT_STARTED


def stop(connection: Connection, number: int, *, actor: str, now: datetime, token: str | None = None) -> None:
    """Stop a batch: what is credited stays, and nothing more is paid until somebody resumes it or gives the rest up.

    Raises StaleBatchError where it neither runs nor waits to, or has nothing left to pay.
    """
    approvals.require_token(batches.find(connection, number).token, token)
    left, _ = batches.totals_of(connection, number)[PayoutStatus.PLANNED]
    stoppable = payout_batches.c.status.in_([BatchStatus.APPROVED, BatchStatus.RUNNING])
    moved = left and connection.execute(batches.moving(number).where(stoppable).values(status=BatchStatus.STOPPED))
    if not moved or moved.rowcount != 1:
        raise StaleBatchError(f"{_standing(connection, number)}; there is nothing to stop.")
    add_entry(connection, at=now, actor=actor, action="batch_stopped", batch_number=number, details={"left": left})


def resume(connection: Connection, number: int, *, actor: str, now: datetime, token: str | None = None) -> None:
    """Move a stopped batch back to running. Raises StaleBatchError if it is not stopped, or its approval has lapsed."""
    batch = batches.find(connection, number)
    approvals.require_token(batch.token, token)
    if batch.status == BatchStatus.STOPPED:
        lapsing.require_valid(batch, now)
        fingerprints.require_plan_as_shown(connection, batch)
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.STOPPED)
        .values(status=BatchStatus.RUNNING, started_at=func.coalesce(payout_batches.c.started_at, now))
    )
    if moved.rowcount != 1:
        raise StaleBatchError(f"{_standing(connection, number)}; there is nothing to resume.")
    add_entry(connection, at=now, actor=actor, action="batch_resumed", batch_number=number)


def abandon(connection: Connection, number: int, *, actor: str, now: datetime, token: str | None = None) -> BatchReport:
    """Abandon what a stopped batch has not paid, or what failed in a finished one; return the batch's report.

    The payouts are skipped with that reason and the batch is closed; the cashback stays pending for a later batch.
    Raises StaleBatchError if there is nothing to abandon.
    """
    abandoned = {BatchStatus.STOPPED: PayoutStatus.PLANNED, BatchStatus.COMPLETED_WITH_FAILURES: PayoutStatus.FAILED}
    batch = batches.find(connection, number)
    approvals.require_token(batch.token, token)
    before = BatchStatus(batch.status)
    moved = before in abandoned and connection.execute(
        batches.moving(number).where(payout_batches.c.status == before).values(status=BatchStatus.RUNNING)
    )
    if not moved or moved.rowcount != 1:
        raise StaleBatchError(f"{_standing(connection, number)}; there is nothing to abandon.")
    dropped = connection.execute(
        update(payouts)
        .where(payouts.c.batch_number == number, payouts.c.status == abandoned[before])
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
    if batches.find(connection, number).status in {BatchStatus.STOPPED, BatchStatus.LAPSED}:
        return batches.report(connection, number)
    return closing.close(connection, number, now=now)
