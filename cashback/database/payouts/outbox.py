"""The outbox: direct messages that a committed payout has queued. Sending one never touches the payout."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, func, or_, select, update

from cashback.database.dialect import insert_or_replace
from cashback.database.tables import (
    absent_members,
    dm_channels,
    is_queued,
    notifications,
    payout_batches,
    payouts,
    wallet_transactions,
)
from cashback.domain.model import NotificationStatus, PayoutNotice

LONGEST_PAUSE: Final = timedelta(hours=9)
"""After ten attempts, the most that can be configured, the pause is about so long."""


def due(connection: Connection, *, now: datetime, limit: int, longest: timedelta = LONGEST_PAUSE) -> list[PayoutNotice]:
    """List queued messages that are due, oldest first, with all that their texts need.

    One that is postponed for more than the `longest` pause was postponed by a clock that was ahead, and is due.
    """
    found = connection.execute(_due(), {"moment": now, "latest": now + longest, "limit": limit}).mappings()
    return [PayoutNotice(**row) for row in found]


@cache
def _due() -> Select[Any]:
    """Select the messages that are due at a `moment`, up to a `limit`. Built once: it is asked all day long."""
    next_attempt_at = notifications.c.next_attempt_at
    moment, latest = (bindparam(name, type_=next_attempt_at.type) for name in ("moment", "latest"))
    return (
        select(
            notifications.c.id.label("notification_id"),
            notifications.c.user_id,
            payout_batches.c.batch_id,
            payouts.c.paid_cents.label("amount_cents"),
            payouts.c.referral_count,
            wallet_transactions.c.balance_after_cents,
            notifications.c.attempts,
            dm_channels.c.channel_id.label("dm_channel_id"),
            absent_members.c.user_id.is_not(None).label("was_absent"),
        )
        .join_from(notifications, payout_batches, payout_batches.c.number == notifications.c.batch_number)
        .join(
            payouts,
            and_(
                payouts.c.batch_number == notifications.c.batch_number,
                payouts.c.referrer_id == notifications.c.user_id,
            ),
        )
        .join(
            wallet_transactions,
            and_(
                wallet_transactions.c.cashback_payout_batch_number == notifications.c.batch_number,
                wallet_transactions.c.user_discord_id == notifications.c.user_id,
            ),
        )
        .outerjoin(dm_channels, dm_channels.c.user_id == notifications.c.user_id)
        .outerjoin(absent_members, absent_members.c.user_id == notifications.c.user_id)
        .where(is_queued)
        .where(or_(next_attempt_at.is_(None), next_attempt_at <= moment, next_attempt_at > latest))
        .order_by(notifications.c.id)
        .limit(bindparam("limit"))
    )


_NEXT_DUE_AT: Final = select(func.min(notifications.c.next_attempt_at)).where(is_queued)


def next_due_at(connection: Connection) -> datetime | None:
    """Tell when the next postponed message comes due; None where none is postponed."""
    due_at: datetime | None = connection.scalars(_NEXT_DUE_AT).one()
    return due_at


def settle(
    connection: Connection, notification_id: int, status: NotificationStatus, *, error: str | None, now: datetime
) -> None:
    """Record how a queued message ended."""
    sent_at = now if status is NotificationStatus.SENT else None
    connection.execute(
        update(notifications)
        .where(notifications.c.id == notification_id, notifications.c.status == NotificationStatus.QUEUED)
        .values(status=status, attempts=notifications.c.attempts + 1, last_error=error, sent_at=sent_at)
    )


def postpone(connection: Connection, notification_id: int, *, error: str | None, until: datetime) -> None:
    """Leave a message queued for another attempt at `until`."""
    connection.execute(
        update(notifications)
        .where(notifications.c.id == notification_id, notifications.c.status == NotificationStatus.QUEUED)
        .values(attempts=notifications.c.attempts + 1, last_error=error, next_attempt_at=until)
    )


def remember_channel(connection: Connection, user_id: int, channel_id: int) -> None:
    """Keep a member's direct-message channel, so that the next message needs one request instead of two."""
    connection.execute(insert_or_replace(connection, dm_channels, user_id=user_id, channel_id=channel_id))


def channel_of(connection: Connection, user_id: int) -> int | None:
    """Tell a member's direct-message channel, None where none is known."""
    return connection.scalars(select(dm_channels.c.channel_id).where(dm_channels.c.user_id == user_id)).one_or_none()


def depth(connection: Connection) -> int:
    """Count the messages that are queued."""
    return connection.scalars(select(func.count()).select_from(notifications).where(is_queued)).one()
