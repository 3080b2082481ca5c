"""Retries: the failed payouts of a finished batch are tried again, each attempt with its admin, moment, reason and end.

A retry is the same run once more: a payout that failed is planned again, for the amount that was approved.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, literal, select, update

from cashback.database.audit_log import add_entry
from cashback.database.payouts import approvals, batches
from cashback.database.tables import has_failures, payout_attempts, payout_batches, payouts
from cashback.domain.clock import TOLERANCE
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchStatus, OpenFailure, PayoutStatus


def begin(
    connection: Connection, number: int, *, actor: str, why: str | None, now: datetime, token: str | None = None
) -> int:
    """Plan a batch's failed payouts again and set the batch running; return how many there are.

    Raises StaleBatchError if the batch is not finished, nothing in it failed, its approval has lapsed, or a page
    carries another `token`.
    """
    batch = batches.find(connection, number)
    approvals.require_token(batch.token, token)
    if batch.status == BatchStatus.COMPLETED_WITH_FAILURES and now >= batch.lapses_at:
        raise StaleBatchError(
            f"The approval of batch {batch.batch_id} has lapsed; its failed payouts are pending again. Ask for a new"
            " summary."
        )
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.COMPLETED_WITH_FAILURES)
        .values(status=BatchStatus.RUNNING, finished_at=None)
    )
    if moved.rowcount != 1:
        batch = batches.find(connection, number)
        raise StaleBatchError(
            f"Batch {batch.batch_id or number} is {batch.status}; there is no failed payout to retry."
        )
    failed = and_(payouts.c.batch_number == number, payouts.c.status == PayoutStatus.FAILED)
    attempts = select(
        payouts.c.batch_number,
        payouts.c.referrer_id,
        _retries_of_payout() + 1,
        literal(actor),
        literal(now, payout_attempts.c.requested_at.type),
        literal(why, payout_attempts.c.why.type),
        payouts.c.reason,
    ).where(failed)
    names = ["batch_number", "referrer_id", "attempt", "requested_by", "requested_at", "why", "failed_before"]
    connection.execute(insert(payout_attempts).from_select(names, attempts))
    planned = connection.execute(
        update(payouts).where(failed).values(status=PayoutStatus.PLANNED, reason=None, settled_at=None)
    ).rowcount
    details = {"users": planned, "why": why}
    add_entry(connection, at=now, actor=actor, action="retry_started", batch_number=number, details=details)
    return planned


def _retries_of_payout() -> Any:  # noqa: ANN401 -- a scalar subquery's type is longer than the function
    return (
        select(func.coalesce(func.max(payout_attempts.c.attempt), 0))
        .where(_same_payout())
        .correlate(payouts)
        .scalar_subquery()
    )


def settle(connection: Connection, number: int) -> None:
    """Note at a batch's end how the attempts that were under way have ended, from the payouts themselves."""
    connection.execute(
        update(payout_attempts)
        .where(payout_attempts.c.batch_number == number, payout_attempts.c.outcome.is_(None), _same_payout())
        .values(outcome=payouts.c.status, reason=payouts.c.reason, settled_at=payouts.c.settled_at)
    )


def due(connection: Connection, *, now: datetime, attempts: int, pause: timedelta) -> list[int]:
    """List the finished batches whose failed payouts the program tries again by itself, oldest first.

    Each batch gets so many retries of that kind, the first after `pause`, each further one after twice as long. A batch
    that finished at a moment to come, by a clock that was ahead, does not wait until then.
    """
    return [
        number
        for number, finished_at, so_far in connection.execute(_with_open_failures())
        if so_far < attempts and (finished_at + pause * 2**so_far <= now or finished_at > now + TOLERANCE)
    ]


@cache
def _with_open_failures() -> Select[int, datetime, int]:
    """Select the batches with failed payouts, when each finished, and its retries. Built once: it is asked all day.

    Each retry is of all that failed, so the payout with the most attempts is among those that failed again.
    """
    tried = func.coalesce(func.max(payout_attempts.c.attempt), 0)
    return (
        select(payout_batches.c.number, payout_batches.c.finished_at, tried)
        .join_from(
            payout_batches, payout_attempts, payout_attempts.c.batch_number == payout_batches.c.number, isouter=True
        )
        .where(has_failures)
        .group_by(payout_batches.c.number)
        .order_by(payout_batches.c.number)
    )


def open_failures(connection: Connection, *, limit: int, offset: int = 0) -> list[OpenFailure]:
    """List the failed payouts that nobody has dealt with yet, newest batch first, in key order."""
    query = (
        select(
            payout_batches.c.number,
            payout_batches.c.batch_id,
            payouts.c.referrer_id,
            payouts.c.approved_cents,
            payouts.c.reason,
            payouts.c.settled_at,
            (_retries_of_payout() + 1).label("attempts"),
        )
        .join_from(payout_batches, payouts)
        .where(has_failures, payouts.c.status == PayoutStatus.FAILED)
        .order_by(payout_batches.c.number.desc(), payouts.c.referrer_id)
        .limit(limit)
        .offset(offset)
    )
    return [
        OpenFailure(
            batch_number=row.number,
            batch_id=row.batch_id,
            referrer_id=row.referrer_id,
            approved_cents=row.approved_cents,
            attempts=row.attempts,
            reason=row.reason or "",
            failed_at=row.settled_at,
        )
        for row in connection.execute(query)
    ]


def count_open_failures(connection: Connection) -> int:
    """Count the failed payouts that nobody has dealt with yet."""
    query = select(func.coalesce(func.sum(payout_batches.c.failed_count), 0)).where(has_failures)
    return int(connection.scalars(query).one())


def attempts_of(connection: Connection, number: int, *, limit: int) -> list[dict[str, Any]]:
    """List a batch's retried payouts, each attempt with its admin, moment, reason and end."""
    query = (
        select(payout_attempts)
        .where(payout_attempts.c.batch_number == number)
        .order_by(payout_attempts.c.referrer_id, payout_attempts.c.attempt)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _same_payout() -> ColumnElement[bool]:
    return and_(
        payout_attempts.c.batch_number == payouts.c.batch_number,
        payout_attempts.c.referrer_id == payouts.c.referrer_id,
    )
