"""Reversals: credited cashback is taken back by new entries, only as far as the wallet holds, and each payout once.

The payout stays credited, and the cashback does not become pending again. What a wallet no longer holds is recorded as
the shortfall, what refunds have recovered of the payout already as recovered. `taking_back.py` moves the money.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Update, func, insert, select, update

from cashback.database.audit_log import add_entry
from cashback.database.payouts import approvals, batches, taking_back
from cashback.database.tables import payout_batches, reversals
from cashback.domain.errors import SecondApproverError, StaleBatchError
from cashback.domain.model import BatchLimits, BatchStatus, Reversal, ReversalStatus
from cashback.domain.money import dollars

SETTLED: Final = (
    BatchStatus.COMPLETED,
    BatchStatus.COMPLETED_WITH_FAILURES,
    BatchStatus.STOPPED,
    BatchStatus.LAPSED,
)


def propose(
    connection: Connection,
    *,
    batch_number: int,
    referrer_id: int | None,
    reason: str,
    actor: str,
    now: datetime,
    expires_at: datetime,
    terms: BatchLimits,
    token: str | None = None,
) -> Reversal:
    """Record what is to be reversed: one payout, or all that a batch credited. Nothing moves yet.

    Raises StaleBatchError if nothing was credited, or all of it was taken back already.
    """
    token = token or approvals.new_token()
    batch = batches.find(connection, batch_number)
    count, cents, _ = _sums(connection, batch_number, referrer_id, now)
    if batch.status not in SETTLED or not count:
        whom = f" to member {referrer_id}" if referrer_id is not None else ""
        raise StaleBatchError(f"Batch {batch.batch_id or batch_number} has no credited payout{whom} left to reverse.")
    why_two = _why_two(cents, terms)
    number: int = connection.scalars(
        insert(reversals)
        .values(
            token=token,
            batch_number=batch_number,
            referrer_id=referrer_id,
            reason=reason,
            status=ReversalStatus.PROPOSED,
            proposed_by=actor,
            proposed_at=now,
            expires_at=expires_at,
            needs_second_approver=why_two,
            planned_count=count,
            planned_cents=cents,
        )
        .returning(reversals.c.number)
    ).one()
    details = {"reversal": number, "referrer_id": referrer_id, "users": count, "total_cents": cents, "reason": reason}
    details["token"] = token
    if why_two is not None:
        details["why_two"] = why_two
    add_entry(connection, at=now, actor=actor, action="reversal_proposed", batch_number=batch_number, details=details)
    return find(connection, number, now)


def _why_two(cents: int, terms: BatchLimits) -> str | None:
    if terms.approval_threshold_cents is None or cents < terms.approval_threshold_cents:
        return None
    return f"From {dollars(terms.approval_threshold_cents)} on, two admins must approve."


def _sums(connection: Connection, batch_number: int, referrer_id: int | None, now: datetime) -> tuple[int, int, int]:
    """Count the payouts that can be reversed, with the cents that can be taken back and those that wallets hold."""
    found = taking_back.reversible(batch_number, referrer_id, now).c
    sums = (func.count(found.referrer_id), func.sum(found.cents), func.sum(found.held_cents))
    count, cents, held = connection.execute(select(*sums)).one()
    return count, cents or 0, held or 0


def find(connection: Connection, number: int, now: datetime) -> Reversal:
    """Return how a reversal stands. Raises StaleBatchError if there is none."""
    row = _row(connection, number)
    coverable = 0
    if row.status == ReversalStatus.PROPOSED:
        _, _, coverable = _sums(connection, row.batch_number, row.referrer_id, now)
    return Reversal(
        number=number,
        batch_number=row.batch_number,
        batch_id=row.batch_id,
        token=row.token or "",
        referrer_id=row.referrer_id,
        reason=row.reason,
        status=ReversalStatus(row.status),
        proposed_by=row.proposed_by,
        expires_at=row.expires_at,
        needs_second_approver=row.needs_second_approver,
        first_approved_by=row.first_approved_by,
        approved_by=row.approved_by,
        planned_count=row.planned_count,
        planned_cents=row.planned_cents,
        coverable_cents=coverable,
        reversed_cents=row.reversed_cents,
        shortfall_cents=row.shortfall_cents,
    )


def _row(connection: Connection, number: int) -> Row[Any]:
    query = select(reversals, payout_batches.c.batch_id).join_from(reversals, payout_batches)
    row = connection.execute(query.where(reversals.c.number == number)).one_or_none()
    if row is None:
        raise StaleBatchError(f"There is no reversal number {number}.")
    return row


def approve(
    connection: Connection,
    number: int,
    *,
    actor: str,
    now: datetime,
    approver_id: int | None = None,
    wait: timedelta = approvals.WAIT,
    token: str | None = None,
) -> Reversal:
    """Take back what was proposed, in time, once, in this one transaction; or note the first of two approvals.

    Raises SecondApproverError, or StaleBatchError if it was decided, has expired, or is no longer as it was shown; also
    if a message carries another `token` than this reversal.
    """
    row = _require_open(connection, number, now, token)
    if row.needs_second_approver is not None and row.first_approved_by is None:
        _move(connection, number, first_approved_by=actor, expires_at=now + wait)
        action, details = "reversal_first_approved", {"reversal": number, "why_two": row.needs_second_approver}
        add_entry(connection, at=now, actor=actor, action=action, batch_number=row.batch_number, details=details)
        return find(connection, number, now)
    if row.needs_second_approver is not None and not approvals.is_another(row, approver_id):
        raise SecondApproverError
    taken = taking_back.take_back(connection, row, now)
    if (taken.count, taken.reversed_cents + taken.shortfall_cents) != (row.planned_count, row.planned_cents):
        raise StaleBatchError(
            "Some of it was taken back since this was shown; nothing was done. Ask for a new reversal."
        )
    _move(
        connection,
        number,
        status=ReversalStatus.DONE,
        approved_by=actor,
        approver_id=approver_id,
        finished_at=now,
        reversed_cents=taken.reversed_cents,
        shortfall_cents=taken.shortfall_cents,
    )
    add_entry(
        connection,
        at=now,
        actor=actor,
        action="payouts_reversed",
        batch_number=row.batch_number,
        details={
            "reversal": number,
            "referrer_id": row.referrer_id,
            "users": taken.count,
            "reversed_cents": taken.reversed_cents,
            "shortfall_cents": taken.shortfall_cents,
            "reason": row.reason,
            "proposed_by": row.proposed_by,
            "first_approved_by": row.first_approved_by,
        },
    )
    return find(connection, number, now)


def cancel(connection: Connection, number: int, *, actor: str, now: datetime, token: str | None = None) -> Reversal:
    """Cancel a reversal that was proposed. Raises StaleBatchError where it was decided already."""
    row = _require_open(connection, number, now, token)
    _move(connection, number, status=ReversalStatus.CANCELLED, finished_at=now)
    add_entry(
        connection,
        at=now,
        actor=actor,
        action="reversal_cancelled",
        batch_number=row.batch_number,
        details={"reversal": number},
    )
    return find(connection, number, now)


def _require_open(connection: Connection, number: int, now: datetime, token: str | None) -> Row[Any]:
    row = _row(connection, number)
    approvals.require_token(row.token, token)
    if row.status != ReversalStatus.PROPOSED:
        raise StaleBatchError(f"This reversal is {row.status} already; nothing was reversed twice.")
    if now >= row.expires_at:
        raise StaleBatchError(
            f"This reversal expired at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC; nothing was reversed. Ask for a new one."
        )
    return row


def _move(connection: Connection, number: int, **values: Any) -> None:  # noqa: ANN401 -- columns of several types
    open_one: Update = update(reversals).where(
        reversals.c.number == number, reversals.c.status == ReversalStatus.PROPOSED
    )
    if connection.execute(open_one.values(**values)).rowcount != 1:
        raise StaleBatchError(f"Reversal {number} was decided in the meantime; nothing was done.")
