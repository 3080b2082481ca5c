"""Batches from proposal to end. Every move is a guarded UPDATE: who finds the old state gone has lost the race."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, func, insert, literal, not_, select, update

from database.audit_log import add_entry
from database.referrals import blacklisted, check_id, pending_by_referrer
from database.tables import is_open, notifications, payout_batches, payouts, pending, referrals, users
from pipeline.errors import BlacklistedError, NothingPendingError, StaleBatchError, UnknownBatchError
from pipeline.messages import (
    BatchMode,
    BatchReport,
    BatchStatus,
    BatchSummary,
    NotificationStatus,
    PayoutFailure,
    PayoutStatus,
    PlannedPayout,
)

TOP_PAYOUTS: Final = 10
FAILURES_SHOWN: Final = 25


def propose(
    connection: Connection,
    *,
    actor: str,
    now: datetime,
    expires_at: datetime | None,
    target_user_id: int | None = None,
    min_payout_cents: int = 1,
    slot_at: datetime | None = None,
) -> BatchSummary:
    """Write a batch and its plan: one payout for each referrer with cashback pending, or for the one who is named.

    Raises NothingPendingError or, for one who is named, BlacklistedError; then nothing is written.
    """
    if target_user_id is not None:
        _check_target(connection, target_user_id)
    mode = BatchMode.BATCH if target_user_id is None else BatchMode.INDIVIDUAL
    number: int = connection.scalars(
        insert(payout_batches)
        .values(
            mode=mode,
            status=BatchStatus.PROPOSED,
            target_user_id=target_user_id,
            slot_at=slot_at,
            proposed_by=actor,
            proposed_at=now,
            expires_at=expires_at,
        )
        .returning(payout_batches.c.number)
    ).one()
    _give_wallets(connection, now)
    owed = pending_by_referrer()
    columns = owed.selected_columns
    plan = owed.with_only_columns(literal(number), columns.referrer_id, columns.pending_cents, columns.referral_count)
    plan = plan.where(columns.pending_cents >= min_payout_cents)
    if target_user_id is not None:
        plan = plan.where(columns.referrer_id == target_user_id)
    names = ["batch_number", "referrer_id", "approved_cents", "referral_count"]
    connection.execute(insert(payouts).from_select(names, plan.order_by(columns.referrer_id)))
    count, cents = connection.execute(
        select(func.count(), func.coalesce(func.sum(payouts.c.approved_cents), 0)).where(
            payouts.c.batch_number == number
        )
    ).one()
    if not count:
        raise NothingPendingError(_nothing_pending(target_user_id))
    connection.execute(_batch(number).values(planned_count=count, planned_cents=cents))
    add_entry(
        connection,
        at=now,
        actor=actor,
        action="batch_proposed",
        batch_number=number,
        details={"mode": mode, "users": count, "total_cents": cents, "target_user_id": target_user_id},
    )
    return summary(connection, number)


def _give_wallets(connection: Connection, now: datetime) -> None:
    """Give each referrer who is owed something and has no row one: a bot may look at no foreign keys."""
    owed = select(referrals.c.referrer_user_id).where(pending).distinct().subquery("owed")
    moment = literal(now, users.c.created_at.type)
    without = select(owed.c.referrer_user_id, moment, moment).where(
        not_(exists().where(users.c.discord_id == owed.c.referrer_user_id))
    )
    connection.execute(insert(users).from_select(["discord_id", "created_at", "updated_at"], without))


def _check_target(connection: Connection, target_user_id: int) -> None:
    check_id(target_user_id, "Member")
    if blacklisted(connection, target_user_id):
        message = f"Member {target_user_id} is blacklisted from referral cashback."
        raise BlacklistedError(message)


def _nothing_pending(target_user_id: int | None) -> str:
    if target_user_id is None:
        return "No referral cashback is pending."
    return f"Member {target_user_id} has no pending cashback."


def _batch(number: int) -> Any:  # noqa: ANN401 -- the type of a Core UPDATE is longer than the function
    return update(payout_batches).where(payout_batches.c.number == number)


def _find(connection: Connection, number: int) -> Row[Any]:
    row = connection.execute(select(payout_batches).where(payout_batches.c.number == number)).one_or_none()
    if row is None:
        message = f"There is no batch number {number}."
        raise UnknownBatchError(message)
    return row


def summary(connection: Connection, number: int) -> BatchSummary:
    """Read a batch's plan as it is stored: what is confirmed is exactly this."""
    batch = _find(connection, number)
    query = (
        select(payouts.c.referrer_id, payouts.c.approved_cents, payouts.c.referral_count)
        .where(payouts.c.batch_number == number)
        .order_by(payouts.c.approved_cents.desc(), payouts.c.referrer_id)
        .limit(TOP_PAYOUTS)
    )
    return BatchSummary(
        batch_number=number,
        mode=BatchMode(batch.mode),
        target_user_id=batch.target_user_id,
        users=batch.planned_count,
        total_cents=batch.planned_cents,
        top=tuple(
            PlannedPayout(
                referrer_id=row.referrer_id, approved_cents=row.approved_cents, referral_count=row.referral_count
            )
            for row in connection.execute(query)
        ),
        proposed_at=batch.proposed_at,
        expires_at=batch.expires_at,
    )


def approve(connection: Connection, number: int, *, actor: str, now: datetime) -> str:
    """Move a proposed batch to approved, in time, once, and return the batch ID that it gets.

    Raises StaleBatchError where it is no longer proposed or its deadline has passed (`expire` ends it).
    """
    batch = _find(connection, number)
    if batch.status != BatchStatus.PROPOSED:
        raise StaleBatchError(_stale(batch))
    if batch.expires_at is not None and now >= batch.expires_at:
        message = (
            f"This summary expired at {batch.expires_at:%Y-%m-%d %H:%M:%S} UTC; nothing was paid. Ask for a new one."
        )
        raise StaleBatchError(message)
    batch_id = _free_batch_id(connection, now)
    moved = connection.execute(
        _batch(number)
        .where(payout_batches.c.status == BatchStatus.PROPOSED)
        .values(status=BatchStatus.APPROVED, batch_id=batch_id, approved_by=actor, approved_at=now)
    )
    if moved.rowcount != 1:
        raise StaleBatchError(_stale(_find(connection, number)))
    add_entry(
        connection,
        at=now,
        actor=actor,
        action="batch_approved",
        batch_number=number,
        details={"batch_id": batch_id, "users": batch.planned_count, "total_cents": batch.planned_cents},
    )
    return batch_id


def _free_batch_id(connection: Connection, now: datetime) -> str:
    """Name a batch after its second, or after the next free one where two batches share it."""
    moment = now
    while True:
        batch_id = f"BATCH-{moment:%Y%m%d-%H%M%S}"
        taken = connection.scalars(select(payout_batches.c.number).where(payout_batches.c.batch_id == batch_id))
        if taken.one_or_none() is None:
            return batch_id
        moment += timedelta(seconds=1)


def _stale(batch: Row[Any]) -> str:
    if batch.status in {BatchStatus.CANCELLED, BatchStatus.EXPIRED}:
        return f"This batch was {batch.status}; nothing was paid. Ask for a new summary."
    return f"This batch was confirmed already by {batch.approved_by} as {batch.batch_id}; nothing was paid twice."


def cancel(connection: Connection, number: int, *, actor: str, now: datetime) -> None:
    """Move a proposed batch to cancelled. Raises StaleBatchError where it is no longer proposed."""
    if not _end_proposal(connection, number, BatchStatus.CANCELLED, actor=actor, now=now):
        raise StaleBatchError(_stale(_find(connection, number)))


def expire(connection: Connection, *, now: datetime) -> list[int]:
    """Move every proposed batch whose deadline has passed to expired; return their numbers."""
    overdue = connection.scalars(
        select(payout_batches.c.number).where(
            is_open, payout_batches.c.status == BatchStatus.PROPOSED, payout_batches.c.expires_at <= now
        )
    ).all()
    return [n for n in overdue if _end_proposal(connection, n, BatchStatus.EXPIRED, actor="system", now=now)]


def _end_proposal(connection: Connection, number: int, status: BatchStatus, *, actor: str, now: datetime) -> bool:
    moved = connection.execute(
        _batch(number).where(payout_batches.c.status == BatchStatus.PROPOSED).values(status=status, finished_at=now)
    )
    if moved.rowcount == 1:
        add_entry(connection, at=now, actor=actor, action=f"batch_{status}", batch_number=number)
    return moved.rowcount == 1


def start(connection: Connection, number: int, *, now: datetime) -> bool:
    """Move an approved or stopped batch to running; True where it runs now, also when it ran before a crash."""
    batch = _find(connection, number)
    if batch.status == BatchStatus.RUNNING:
        return True
    moved = connection.execute(
        _batch(number)
        .where(payout_batches.c.status.in_([BatchStatus.APPROVED, BatchStatus.STOPPED]))
        .values(status=BatchStatus.RUNNING, started_at=batch.started_at or now)
    )
    return bool(moved.rowcount == 1)


def unfinished(connection: Connection) -> list[int]:
    """List the batches that were approved and are not settled: those that a start must go on with, oldest first."""
    statuses = [BatchStatus.APPROVED, BatchStatus.RUNNING]
    query = select(payout_batches.c.number).where(is_open, payout_batches.c.status.in_(statuses))
    return list(connection.scalars(query.order_by(payout_batches.c.number)))


def finish(connection: Connection, number: int, *, now: datetime) -> BatchReport:
    """Close a running batch whose payouts are all settled, with its totals and its audit entry; return its report.

    A batch that another process finished first is reported as it stands. Raises StaleBatchError while payouts are
    still planned: then somebody ended the run early, and the batch stays running.
    """
    totals = _totals(connection, number)
    if totals[PayoutStatus.PLANNED][0]:
        message = f"Batch number {number} still has {totals[PayoutStatus.PLANNED][0]} planned payouts."
        raise StaleBatchError(message)
    credited, credited_cents = totals[PayoutStatus.CREDITED]
    failed, skipped = totals[PayoutStatus.FAILED][0], totals[PayoutStatus.SKIPPED][0]
    status = BatchStatus.COMPLETED_WITH_FAILURES if failed else BatchStatus.COMPLETED
    moved = connection.execute(
        _batch(number)
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
    finished = report(connection, number)
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
        }
        add_entry(
            connection,
            at=now,
            actor=finished.approved_by or "system",
            action="batch_finished",
            batch_number=number,
            details=details,
        )
    return finished


def _totals(connection: Connection, number: int) -> dict[PayoutStatus, tuple[int, int]]:
    """Count a batch's payouts by state, with the cents that each state paid."""
    rows = connection.execute(
        select(payouts.c.status, func.count(), func.sum(payouts.c.paid_cents))
        .where(payouts.c.batch_number == number)
        .group_by(payouts.c.status)
    )
    found = {PayoutStatus(status): (count, cents) for status, count, cents in rows}
    return {status: found.get(status, (0, 0)) for status in PayoutStatus}


def report(connection: Connection, number: int, *, failures: int = FAILURES_SHOWN) -> BatchReport:
    """Tell from the rows how a batch stands, with at most `failures` of its failed payouts."""
    batch = _find(connection, number)
    totals = _totals(connection, number)
    direct_messages = _count_notifications(connection, number)
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
        failed=totals[PayoutStatus.FAILED][0],
        skipped=totals[PayoutStatus.SKIPPED][0],
        failures=tuple(failed_payouts(connection, number, limit=failures)),
        dm_queued=direct_messages.get(NotificationStatus.QUEUED, 0),
        dm_sent=direct_messages.get(NotificationStatus.SENT, 0),
        dm_undeliverable=direct_messages.get(NotificationStatus.UNDELIVERABLE, 0),
        dm_failed=direct_messages.get(NotificationStatus.FAILED, 0),
        dm_muted=direct_messages.get(NotificationStatus.MUTED, 0),
    )


def _count_notifications(connection: Connection, number: int) -> dict[str, int]:
    """Count a batch's direct messages by state."""
    query = select(notifications.c.status, func.count()).where(notifications.c.batch_number == number)
    return {status: count for status, count in connection.execute(query.group_by(notifications.c.status))}  # noqa: C416 -- dict() has no types here


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
        message = f"There is no batch {batch_id}; `cashback history` lists those that there are."
        raise UnknownBatchError(message)
    return number


def history(connection: Connection, *, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """List batches, newest first, with their stored totals."""
    query = select(payout_batches).order_by(payout_batches.c.number.desc()).limit(limit).offset(offset)
    return [dict(row) for row in connection.execute(query).mappings()]


def payouts_of(connection: Connection, number: int, *, limit: int, after_referrer_id: int = 0) -> list[dict[str, Any]]:
    """List a batch's payouts in key order, a page at a time."""
    query = (
        select(payouts)
        .where(payouts.c.batch_number == number, payouts.c.referrer_id > after_referrer_id)
        .order_by(payouts.c.referrer_id)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
