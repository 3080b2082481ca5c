"""Posts about slots in the audit channel: the notice before a slot, and the line that explains a slot without a batch.

Each is claimed before it is posted, so that it appears once, however many bots and restarts there are.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from cashback.database.schedule import outlook, schedule, slots
from cashback.database.tables import slot_posts
from cashback.domain.model import OpenNotice, SlotRecord


class SlotPostKind(StrEnum):
    """The kind of post about a slot."""

    NOTICE = "notice"
    OUTCOME = "outcome"


def notice_due(connection: Connection, *, now: datetime) -> datetime | None:
    """Return the slot whose notice is to be posted now; None if there is none, or it is already posted."""
    slot_at = outlook.slot_to_notice(connection, now=now)
    if slot_at is None or _message_of(connection, slot_at, SlotPostKind.NOTICE) is not None:
        return None
    return slot_at


def claim_notice(connection: Connection, slot_at: datetime, *, channel_id: int, now: datetime) -> bool | None:
    """Record that a slot's notice is about to be posted; False if it was already claimed.

    None if it is no longer to be posted: the slot was skipped or has passed, or the schedule was paused.
    """
    if notice_due(connection, now=now) != slot_at:
        return None
    return claim(connection, slot_at, SlotPostKind.NOTICE, channel_id=channel_id)


def claim(connection: Connection, slot_at: datetime, kind: SlotPostKind, *, channel_id: int) -> bool:
    """Record that a slot's post is about to be made; False if it was already claimed."""
    changed = connection.execute(update(slot_posts).where(_this(slot_at, kind)).values(channel_id=channel_id))
    if changed.rowcount:
        return False
    connection.execute(insert(slot_posts).values(slot_at=slot_at, kind=kind, channel_id=channel_id))
    return True


def mark_posted(connection: Connection, slot_at: datetime, kind: SlotPostKind, *, message_id: int) -> None:
    """Record that a slot's post is made. A notice may still change, an outcome never does."""
    is_final = int(kind is SlotPostKind.OUTCOME)
    connection.execute(update(slot_posts).where(_this(slot_at, kind)).values(message_id=message_id, is_final=is_final))


def closed_notices(connection: Connection) -> list[OpenNotice]:
    """List the notices that still show their skip button although their slot is decided or gone."""
    query = select(slot_posts).where(
        slot_posts.c.kind == SlotPostKind.NOTICE, slot_posts.c.is_final == 0, slot_posts.c.message_id.is_not(None)
    )
    posts = connection.execute(query.order_by(slot_posts.c.slot_at)).all()
    records = {record.slot_at: record for record in slots.find(connection, [post.slot_at for post in posts])}
    state = schedule.find_state(connection)
    return [
        _notice(post, records.get(post.slot_at))
        for post in posts
        if post.slot_at in records or state is None or not state.owns(post.slot_at)
    ]


def reopened_notices(connection: Connection) -> list[OpenNotice]:
    """List the notices that show a skip that was undone."""
    is_reopened = (slot_posts.c.kind == SlotPostKind.NOTICE) & (slot_posts.c.is_final == slots.REOPENED)
    return [_notice(post, None) for post in connection.execute(select(slot_posts).where(is_reopened))]


def open_notice(connection: Connection, slot_at: datetime, *, is_gone: bool) -> None:
    """Record that a notice shows its slot as coming again; if its message is gone, it is posted again."""
    this = _this(slot_at, SlotPostKind.NOTICE)
    connection.execute(delete(slot_posts).where(this) if is_gone else update(slot_posts).where(this).values(is_final=0))


def _notice(post: Row[Any], record: SlotRecord | None) -> OpenNotice:
    return OpenNotice(slot_at=post.slot_at, channel_id=post.channel_id, message_id=post.message_id, record=record)


def close_notice(connection: Connection, slot_at: datetime) -> None:
    """Record that a notice shows the outcome of its slot and does not change any more."""
    connection.execute(update(slot_posts).where(_this(slot_at, SlotPostKind.NOTICE)).values(is_final=1))


def _message_of(connection: Connection, slot_at: datetime, kind: SlotPostKind) -> int | None:
    message_id: int | None = connection.scalars(
        select(slot_posts.c.message_id).where(_this(slot_at, kind))
    ).one_or_none()
    return message_id


def _this(slot_at: datetime, kind: SlotPostKind) -> Any:  # noqa: ANN401 -- a Core condition
    return and_(slot_posts.c.slot_at == slot_at, slot_posts.c.kind == kind)
