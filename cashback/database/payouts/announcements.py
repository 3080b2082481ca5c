"""Where a batch is shown: the summary that is brought up to date, and its one entry in the audit channel."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, and_, exists, func, insert, not_, select, update

from cashback.database.payouts import approvals, batches
from cashback.database.tables import announcements, is_open, is_queued, notifications, payout_batches
from cashback.domain.model import BatchStatus


class AnnouncementKind(StrEnum):
    """What shows a batch."""

    SUMMARY = "summary"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSummary:
    """A summary that may still change: its batch's state, whether messages are queued, whether it waits."""

    batch_number: int
    channel_id: int
    message_id: int
    status: BatchStatus
    expires_at: datetime | None
    has_queued: bool
    is_waiting: bool
    token: str


def remember_summary(connection: Connection, batch_number: int, *, channel_id: int, message_id: int) -> None:
    """Keep which message shows a batch; it is brought up to date from now on."""
    values = {"channel_id": channel_id, "message_id": message_id, "is_final": 0}
    if not _change(connection, batch_number, AnnouncementKind.SUMMARY, **values):
        _add(connection, batch_number, AnnouncementKind.SUMMARY, **values)


def is_summary_of(connection: Connection, batch_number: int, *, token: str, channel_id: int, message_id: int) -> bool:
    """Return whether a message shows this batch; if no message of it is known yet, this one shows it from now on.

    Raises UnknownBatchError, and StaleBatchError if the message carries another token than the batch.
    """
    approvals.require_token(batches.find(connection, batch_number).token, token)
    query = select(announcements.c.message_id).filter_by(batch_number=batch_number, kind=AnnouncementKind.SUMMARY)
    known = connection.scalars(query).one_or_none()
    if known is None:
        remember_summary(connection, batch_number, channel_id=channel_id, message_id=message_id)
    return known in {None, message_id}


def close_summary(connection: Connection, batch_number: int) -> None:
    """Note that a summary shows its batch's end and changes no more."""
    _change(connection, batch_number, AnnouncementKind.SUMMARY, is_final=1)


def reopen_summary(connection: Connection, batch_number: int) -> None:
    """Note that a batch has summaries_changed, such as the end of a retry; its summary, if there is one, shows them."""
    _change(connection, batch_number, AnnouncementKind.SUMMARY, is_final=0)


def open_summaries(connection: Connection) -> list[OpenSummary]:
    """List the summaries that may still change, oldest first."""
    queued = exists().where(is_queued, notifications.c.batch_number == payout_batches.c.number)
    query = (
        select(
            payout_batches.c.number.label("batch_number"),
            announcements.c.channel_id,
            announcements.c.message_id,
            payout_batches.c.status,
            payout_batches.c.expires_at,
            queued.label("has_queued"),
            payout_batches.c.first_approved_by.is_not(None).label("is_waiting"),
            func.coalesce(payout_batches.c.token, "").label("token"),
        )
        .join_from(announcements, payout_batches, payout_batches.c.number == announcements.c.batch_number)
        .where(announcements.c.kind == AnnouncementKind.SUMMARY, announcements.c.is_final == 0)
        .order_by(payout_batches.c.number)
    )
    return [
        OpenSummary(
            **{
                **row,
                "status": BatchStatus(row["status"]),
                "has_queued": bool(row["has_queued"]),
                "is_waiting": bool(row["is_waiting"]),
            }
        )
        for row in connection.execute(query).mappings()
    ]


def audits_due(connection: Connection, *, since: datetime, limit: int) -> list[int]:
    """List the batches finished since then that the audit channel does not show, in the order of their ends."""
    posted = exists().where(
        announcements.c.batch_number == payout_batches.c.number,
        announcements.c.kind == AnnouncementKind.AUDIT,
        announcements.c.message_id.is_not(None),
    )
    query = (
        select(payout_batches.c.number)
        .where(payout_batches.c.status.in_(batches.FINISHED))
        .where(payout_batches.c.finished_at >= since, not_(posted))
        .order_by(payout_batches.c.finished_at, payout_batches.c.number)
        .limit(limit)
    )
    return list(connection.scalars(query))


def waiting_unseen(connection: Connection) -> list[int]:
    """List the batches that wait for a second approval and that no message shows: the calendar asks for such."""
    shown = exists().where(
        announcements.c.batch_number == payout_batches.c.number, announcements.c.kind == AnnouncementKind.SUMMARY
    )
    query = select(payout_batches.c.number).where(
        is_open,
        payout_batches.c.status == BatchStatus.PROPOSED,
        payout_batches.c.first_approved_by.is_not(None),
        not_(shown),
    )
    return list(connection.scalars(query.order_by(payout_batches.c.number)))


def claim_audit(connection: Connection, batch_number: int, *, channel_id: int) -> bool:
    """Note that a batch's audit entry is about to be posted; False where somebody was about to before."""
    if _change(connection, batch_number, AnnouncementKind.AUDIT, channel_id=channel_id):
        return False
    _add(connection, batch_number, AnnouncementKind.AUDIT, channel_id=channel_id)
    return True


def mark_audit_posted(connection: Connection, batch_number: int, *, message_id: int) -> None:
    """Note that a batch's audit entry is there."""
    _change(connection, batch_number, AnnouncementKind.AUDIT, message_id=message_id, is_final=1)


def _change(connection: Connection, batch_number: int, kind: AnnouncementKind, **values: int) -> bool:
    this_one = and_(announcements.c.batch_number == batch_number, announcements.c.kind == kind)
    changed = connection.execute(update(announcements).where(this_one).values(**values))
    return bool(changed.rowcount)


def _add(connection: Connection, batch_number: int, kind: AnnouncementKind, **values: int) -> None:
    connection.execute(insert(announcements).values(batch_number=batch_number, kind=kind, **values))
