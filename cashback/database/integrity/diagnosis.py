"""Health checks of the ledger: each is fine, or explains how to fix the problem."""

from sqlalchemy import Connection, select

from cashback.database import schema
from cashback.database.integrity import soundness
from cashback.database.tables import payout_batches
from cashback.domain.model import BatchStatus


def file(connection: Connection) -> tuple[bool, str]:
    """Check whether the file is sound, and of this program's schema."""
    damages = soundness.damages(connection)
    if damages:
        return False, f"the file is damaged ({damages[0]}); stop the bot and restore the last backup"
    revision = schema.revision_of(connection)
    if revision != schema.NEWEST:
        return False, f"the schema is {revision}; run `cashback migrate`"
    return True, f"the file is sound, schema {revision}"


def has_paid(connection: Connection) -> bool:
    """Return whether anything was ever paid."""
    finished = [BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES]
    query = select(payout_batches.c.number).where(payout_batches.c.status.in_(finished)).limit(1)
    return connection.execute(query).first() is not None
