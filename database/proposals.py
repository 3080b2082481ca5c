"""Proposals: a batch and its plan are written at once, and shown as they are stored; then it waits for an answer."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, exists, func, insert, literal, not_, select

from database import absences, approvals, batches, exclusions
from database.audit_log import add_entry
from database.blacklist import blacklisted
from database.pending import pending_by_referrer
from database.people import check_id
from database.tables import is_open, payout_batches, payouts, referrals, unpaid, users
from pipeline.errors import BlacklistedError, NothingPendingError, StaleBatchError
from pipeline.messages import BatchMode, BatchStatus, BatchSummary, PlannedPayout

TOP_PAYOUTS: Final = 10


def propose(
    connection: Connection,
    *,
    actor: str,
    now: datetime,
    expires_at: datetime | None,
    target_user_id: int | None = None,
    min_payout_cents: int = 1,
    slot_at: datetime | None = None,
    hold_leavers: bool = False,
) -> BatchSummary:
    """Write a batch and its plan: one payout for each referrer with cashback pending, or for the one who is named.

    Who is left out is written beside it, with the reason: whose account is gone and, where they are held, who left.
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
    _give_wallets(connection, now, target_user_id)
    owed = pending_by_referrer(now)
    columns = owed.selected_columns
    plan = owed.with_only_columns(literal(number), columns.referrer_id, columns.pending_cents, columns.referral_count)
    plan = plan.where(columns.pending_cents >= min_payout_cents)
    if absences.leave_out(connection, number, now, hold_leavers=hold_leavers, only=target_user_id):
        plan = plan.where(not_(exclusions.is_left_out(number, columns.referrer_id)))
    if target_user_id is not None:
        plan = plan.where(columns.referrer_id == target_user_id)
    names = ["batch_number", "referrer_id", "approved_cents", "referral_count"]
    connection.execute(insert(payouts).from_select(names, plan))
    count, cents = connection.execute(
        select(func.count(), func.coalesce(func.sum(payouts.c.approved_cents), 0)).where(
            payouts.c.batch_number == number
        )
    ).one()
    if not count:
        raise NothingPendingError(_nothing_pending(connection, number, target_user_id))
    connection.execute(batches.moving(number).values(planned_count=count, planned_cents=cents))
    add_entry(
        connection,
        at=now,
        actor=actor,
        action="batch_proposed",
        batch_number=number,
        details={"mode": mode, "users": count, "total_cents": cents, "target_user_id": target_user_id},
    )
    return summary(connection, number)


def _give_wallets(connection: Connection, now: datetime, target_user_id: int | None) -> None:
    """Give each referrer who is to be paid and has no row one: a bot may look at no foreign keys."""
    payable = select(referrals.c.referrer_user_id).where(unpaid).distinct()
    if target_user_id is not None:
        payable = payable.where(referrals.c.referrer_user_id == target_user_id)
    owed = payable.subquery("owed")
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


def _nothing_pending(connection: Connection, number: int, target_user_id: int | None) -> str:
    left_out = exclusions.of_batch(connection, number, limit=1)
    if target_user_id is None:
        return f"No referral cashback is pending{' but that of members who are left out' if left_out else ''}."
    if left_out:
        return f"Member {target_user_id} is left out: {left_out[0].reason.replace('_', ' ')}."
    return f"Member {target_user_id} has no pending cashback."


def summary(connection: Connection, number: int) -> BatchSummary:
    """Read a batch's plan as it is stored: what is confirmed is exactly this."""
    batch = batches.find(connection, number)
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


def cancel(connection: Connection, number: int, *, actor: str, now: datetime) -> None:
    """Move a proposed batch to cancelled. Raises StaleBatchError where it is no longer proposed."""
    if not _end_proposal(connection, number, BatchStatus.CANCELLED, actor=actor, now=now):
        raise StaleBatchError(approvals.decided(batches.find(connection, number)))


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
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.PROPOSED)
        .values(status=status, finished_at=now)
    )
    if moved.rowcount == 1:
        add_entry(connection, at=now, actor=actor, action=f"batch_{status}", batch_number=number)
    return moved.rowcount == 1
