"""Thinning: direct messages that are done with become a count per batch and state. `verify` adds the two up.

Messages that failed or could not be delivered are kept, because they may be queued again, and so are all messages of
batches that are not finished.
"""

from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import Connection, Select, and_, bindparam, delete, insert, select, update

from cashback.database.payouts.batches import FINISHED
from cashback.database.tables import is_settled, notifications, outbox_counts, payout_batches
from cashback.domain.model import NotificationStatus

DONE_WITH: Final = (NotificationStatus.SENT, NotificationStatus.MUTED)
ROWS_AT_ONCE: Final = 5_000


def thin(connection: Connection, *, before: datetime, limit: int = ROWS_AT_ONCE) -> int:
    """Replace messages of one batch that finished before a moment by their count; return how many: 0 if none are left.

    At most `limit` of them, so that nobody waits long for the ledger: call it until it returns 0.
    """
    found = connection.execute(_next(), {"before": before}).first()
    if found is None:
        return 0
    number, status = found
    done_with = and_(is_settled, notifications.c.batch_number == number, notifications.c.status == status)
    ids = select(notifications.c.id).where(done_with).limit(limit)
    count = connection.execute(delete(notifications).where(notifications.c.id.in_(ids))).rowcount
    counts = outbox_counts.c
    of_both = and_(counts.batch_number == number, counts.status == status)
    added = update(outbox_counts).where(of_both).values(messages=counts.messages + count)
    if not connection.execute(added).rowcount:
        connection.execute(insert(outbox_counts).values(batch_number=number, status=status, messages=count))
    return count


@cache
def _next() -> Select[int, str]:
    """Select the first batch and state with messages to count."""
    return (
        select(payout_batches.c.number, notifications.c.status)
        .join_from(payout_batches, notifications, notifications.c.batch_number == payout_batches.c.number)
        .where(
            payout_batches.c.status.in_(FINISHED),
            payout_batches.c.finished_at < bindparam("before", type_=payout_batches.c.finished_at.type),
            is_settled,
            notifications.c.status.in_(DONE_WITH),
        )
        .order_by(payout_batches.c.number)
        .limit(1)
    )
