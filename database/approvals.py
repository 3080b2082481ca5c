"""Approvals: a proposed batch is approved in time, once; who finds the old state gone has lost the race."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from database import batches, fingerprints
from database.audit_log import BATCH_APPROVED, add_entry
from database.tables import payout_batches
from pipeline.errors import StaleBatchError
from pipeline.messages import BatchStatus


def approve(connection: Connection, number: int, *, actor: str, now: datetime) -> str:
    """Move a proposed batch to approved, in time, once, and return the batch ID that it gets.

    Raises StaleBatchError where it is no longer proposed or its deadline has passed (`expire` ends it).
    """
    batch = batches.find(connection, number)
    if batch.status != BatchStatus.PROPOSED:
        raise StaleBatchError(decided(batch))
    if batch.expires_at is not None and now >= batch.expires_at:
        message = (
            f"This summary expired at {batch.expires_at:%Y-%m-%d %H:%M:%S} UTC; nothing was paid. Ask for a new one."
        )
        raise StaleBatchError(message)
    batch_id = _free_batch_id(connection, now)
    moved = connection.execute(
        batches.moving(number)
        .where(payout_batches.c.status == BatchStatus.PROPOSED)
        .values(status=BatchStatus.APPROVED, batch_id=batch_id, approved_by=actor, approved_at=now)
    )
    if moved.rowcount != 1:
        raise StaleBatchError(decided(batches.find(connection, number)))
    add_entry(
        connection,
        at=now,
        actor=actor,
        action=BATCH_APPROVED,
        batch_number=number,
        details={
            "batch_id": batch_id,
            "users": batch.planned_count,
            "total_cents": batch.planned_cents,
            "payouts": fingerprints.of_batch(connection, number, fingerprints.PLAN),
        },
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


def decided(batch: Row[Any]) -> str:
    """Say what became of a proposal that can be decided no more."""
    if batch.status in {BatchStatus.CANCELLED, BatchStatus.EXPIRED}:
        return f"This batch was {batch.status}; nothing was paid. Ask for a new summary."
    return f"This batch was confirmed already by {batch.approved_by} as {batch.batch_id}; nothing was paid twice."
