"""Approvals: a proposed batch is approved in time, once; if the old state is gone, the race is lost."""

import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from cashback.database.audit_log import BATCH_APPROVED, add_entry
from cashback.database.payouts import batches, fingerprints
from cashback.database.tables import payout_batches
from cashback.domain.errors import SecondApproverError, StaleBatchError
from cashback.domain.model import BatchStatus

WAIT: Final = timedelta(hours=24)
"""How long a second approval is waited for by default."""

VALID: Final = timedelta(days=14)
"""How long an approval is good for by default. Afterwards what is left needs a new one."""

ANOTHER_PROPOSAL: Final = (
    "This message or page shows another proposal than the ledger has under its number; nothing was done."
)


def new_token() -> str:
    """Return a token for a proposal: 16 letters that nobody can guess."""
    return secrets.token_hex(8)


def require_token(stored: str | None, carried: str | None) -> None:
    """Refuse a message whose buttons carry another token than the row. None carries none: no message is involved.

    A row of an earlier version has no token, and its messages carry an empty one: they decide nothing.
    """
    if carried is not None and (not stored or carried != stored):
        raise StaleBatchError(ANOTHER_PROPOSAL)


def approve(
    connection: Connection,
    number: int,
    *,
    actor: str,
    now: datetime,
    approver_id: int | None = None,
    wait: timedelta = WAIT,
    valid: timedelta = VALID,
    token: str | None = None,
) -> str | None:
    """Move a proposed batch to approved, in time, once, and return the batch ID that it gets.

    If two admins must approve, the first approval is noted, the batch may be approved for `wait` longer, and None is
    returned; the second must be another person's, whose id is `approver_id`. The approval lapses after `valid`. Raises
    SecondApproverError if it is the same person, and StaleBatchError if the batch is no longer proposed, its deadline
    has passed (`expire` ends it), its plan is not the one that was shown, or a message carries another `token`.
    """
    batch = batches.find(connection, number)
    require_token(batch.token, token)
    if batch.status != BatchStatus.PROPOSED:
        raise StaleBatchError(decided(batch))
    if batch.expires_at is not None and now >= batch.expires_at:
        message = (
            f"This summary expired at {batch.expires_at:%Y-%m-%d %H:%M:%S} UTC; nothing was paid. Ask for a new one."
        )
        raise StaleBatchError(message)
    fingerprints.require_plan_as_shown(connection, batch)
    if batch.needs_second_approver is not None and batch.first_approved_by is None:
        _note_first(connection, batch, actor=actor, now=now, wait=wait)
        return None
    if batch.needs_second_approver is not None and not is_another(batch, approver_id):
        raise SecondApproverError
    batch_id = _free_batch_id(connection, now)
    [payees] = fingerprints.of_batch(connection, number, fingerprints.PLAN)
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.PROPOSED)
        .values(
            status=BatchStatus.APPROVED,
            batch_id=batch_id,
            approved_by=actor,
            approver_id=approver_id,
            approved_at=now,
            lapses_at=now + valid,
        )
    )
    if moved.rowcount != 1:
        raise StaleBatchError(decided(batches.find(connection, number)))
    details = {
        "batch_id": batch_id,
        "users": batch.planned_count,
        "total_cents": batch.planned_cents,
        "payouts": payees,
        "lapses_at": (now + valid).isoformat(),
    }
    if batch.first_approved_by is not None:
        details["first_approved_by"] = batch.first_approved_by
    add_entry(connection, at=now, actor=actor, action=BATCH_APPROVED, batch_number=number, details=details)
    return batch_id


def _note_first(connection: Connection, batch: Row[Any], *, actor: str, now: datetime, wait: timedelta) -> None:
    """Note the first of two approvals, once, and give the second admin time."""
    noted = connection.execute(
        batches.moving(batch.number)
        .where(payout_batches.c.status == BatchStatus.PROPOSED, payout_batches.c.first_approved_by.is_(None))
        .values(first_approved_by=actor, first_approved_at=now, expires_at=now + wait)
    )
    if noted.rowcount != 1:
        raise StaleBatchError(decided(batches.find(connection, batch.number)))
    details = {
        "users": batch.planned_count,
        "total_cents": batch.planned_cents,
        "why_two": batch.needs_second_approver,
        "until": (now + wait).isoformat(),
    }
    add_entry(
        connection, at=now, actor=actor, action="batch_first_approved", batch_number=batch.number, details=details
    )


def is_another(batch: Row[Any], approver_id: int | None) -> bool:
    """Return whether this is a person, and neither who asked for it nor who approved it first."""
    return approver_id is not None and not any(
        actor.endswith(f":{approver_id}") for actor in (batch.proposed_by, batch.first_approved_by)
    )


def _free_batch_id(connection: Connection, now: datetime) -> str:
    """Name a batch after its second, or after the next free one where two batches share it."""
    moment = now
    while True:
        batch_id = f"BATCH-{moment:%Y%m%d-%H%M%S}"
        taken = connection.scalars(select(payout_batches.c.number).where(payout_batches.c.batch_id == batch_id))
        if taken.one_or_none() is None:
            return batch_id
        moment += timedelta(seconds=1)


def decided(batch: Row[Any]) -> str:
    """Return what became of a proposal that can no longer be decided."""
    if batch.status in {BatchStatus.CANCELLED, BatchStatus.EXPIRED}:
        return f"This batch was {batch.status}; nothing was paid. Ask for a new summary."
    return f"This batch was confirmed already by {batch.approved_by} as {batch.batch_id}; nothing was paid twice."
