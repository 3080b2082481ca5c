"""The outbox: direct messages that a committed payout has queued. Sending one never touches the payout."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Update, and_, bindparam, func, or_, select, update

from cashback.database.audit_log import add_entry
from cashback.database.dialect import insert_or_replace
from cashback.database.payouts import announcements, batches
from cashback.database.tables import (
    absent_members,
    dm_channels,
    is_queued,
    is_settled,
    notification_preferences,
    notifications,
    payout_batches,
    payouts,
    wallet_transactions,
)
from cashback.domain.model import NotificationStatus, PayoutNotice
from cashback.domain.money import ENGLISH

LONGEST_PAUSE: Final = timedelta(hours=9)
"""After ten attempts, the most that can be configured, the pause is about so long."""


def due(connection: Connection, *, now: datetime, limit: int, longest: timedelta = LONGEST_PAUSE) -> list[PayoutNotice]:
    """List the messages that are due, with all that their texts need: untried ones first.

    A message postponed for more than the `longest` pause was postponed by a clock that was ahead, and is due.
    """
    untried = connection.execute(_untried(), {"limit": limit}).mappings().all()
    left = limit - len(untried)
    moments = {"moment": now, "latest": now + longest}
    postponed = connection.execute(_postponed(), moments | {"limit": left}).mappings().all() if left else []
    return [PayoutNotice(**row) for row in (*untried, *postponed)]


def _queued() -> Select[Any]:
    """Select queued messages, up to a `limit`."""
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
            notifications.c.next_attempt_at.is_not(None).label("is_retry"),
            func.coalesce(notification_preferences.c.language, ENGLISH).label("language"),
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
        .outerjoin(notification_preferences, notification_preferences.c.user_id == notifications.c.user_id)
        .outerjoin(absent_members, absent_members.c.user_id == notifications.c.user_id)
        .where(is_queued)
        .order_by(notifications.c.id)
        .limit(bindparam("limit"))
    )


@cache
def _untried() -> Select[Any]:
    """Select the messages that were never postponed. Built once: it is asked all day long."""
    return _queued().where(notifications.c.next_attempt_at.is_(None))


@cache
def _postponed() -> Select[Any]:
    """Select the postponed messages that are due again at a `moment`, the longest due first."""
    next_attempt_at = notifications.c.next_attempt_at
    moment, latest = (bindparam(name, type_=next_attempt_at.type) for name in ("moment", "latest"))
    due_again = _queued().where(or_(next_attempt_at <= moment, next_attempt_at > latest))
    return due_again.order_by(None).order_by(next_attempt_at, notifications.c.id)


_NEXT_DUE_AT: Final = select(func.min(notifications.c.next_attempt_at)).where(is_queued)


def next_due_at(connection: Connection) -> datetime | None:
    """Return when the next postponed message comes due; None if none is postponed."""
    due_at: datetime | None = connection.scalars(_NEXT_DUE_AT).one()
    return due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How a queued message ended, and when."""

    notification_id: int
    status: NotificationStatus
    error: str | None
    at: datetime


def settle(connection: Connection, settled: Sequence[Settled]) -> None:
    """Record how queued messages ended."""
    rows = [
        {
            "settled_id": each.notification_id,
            "ended": each.status,
            "error": each.error,
            "sent": each.at if each.status is NotificationStatus.SENT else None,
        }
        for each in settled
    ]
    connection.execute(_settle(), rows)


@cache
def _settle() -> Update:
    columns = notifications.c
    return (
        update(notifications)
        .where(columns.id == bindparam("settled_id"), columns.status == NotificationStatus.QUEUED)
        .values(
            status=bindparam("ended"),
            attempts=columns.attempts + 1,
            last_error=bindparam("error"),
            sent_at=bindparam("sent"),
        )
    )


def postpone(
    connection: Connection, notification_id: int, *, error: str | None, until: datetime, is_attempt: bool = True
) -> None:
    """Leave a message queued for another attempt at `until`."""
    connection.execute(
        update(notifications)
        .where(notifications.c.id == notification_id, notifications.c.status == NotificationStatus.QUEUED)
        .values(attempts=notifications.c.attempts + int(is_attempt), last_error=error, next_attempt_at=until)
    )


def remember_channel(connection: Connection, user_id: int, channel_id: int) -> None:
    """Keep a member's direct-message channel, so that the next message needs one request instead of two."""
    connection.execute(insert_or_replace(connection, dm_channels, user_id=user_id, channel_id=channel_id))


def channel_of(connection: Connection, user_id: int) -> int | None:
    """Return a member's direct-message channel; None if none is known."""
    return connection.scalars(select(dm_channels.c.channel_id).where(dm_channels.c.user_id == user_id)).one_or_none()


def depth(connection: Connection) -> int:
    """Count the messages that are queued."""
    return connection.scalars(select(func.count()).select_from(notifications).where(is_queued)).one()


def count_failed(connection: Connection) -> int:
    """Count the messages without attempts left."""
    return _count_settled(connection, NotificationStatus.FAILED)


def count_undeliverable(connection: Connection) -> int:
    """Count the messages to members that accept none."""
    return _count_settled(connection, NotificationStatus.UNDELIVERABLE)


def _count_settled(connection: Connection, status: NotificationStatus) -> int:
    ended = notifications.c.status == status
    return connection.scalars(select(func.count()).select_from(notifications).where(is_settled, ended)).one()


def requeue(connection: Connection, *, batch_number: int | None, user_id: int | None, actor: str, now: datetime) -> int:
    """Queue failed messages again, of a batch, a member or all, with all their attempts; return how many.

    A named member's undeliverable ones are included: the member may take messages now. Raises UnknownBatchError.
    """
    if batch_number is not None:
        batches.find(connection, batch_number)
    ended = (
        [NotificationStatus.FAILED]
        if user_id is None
        else [NotificationStatus.FAILED, NotificationStatus.UNDELIVERABLE]
    )
    chosen = [is_settled, notifications.c.status.in_(ended)]
    if batch_number is not None:
        chosen.append(notifications.c.batch_number == batch_number)
    if user_id is not None:
        chosen.append(_to(user_id))
    affected = connection.scalars(select(notifications.c.batch_number).where(*chosen).distinct()).all()
    fresh = {"status": NotificationStatus.QUEUED, "attempts": 0, "next_attempt_at": None}
    count = connection.execute(update(notifications).where(*chosen).values(fresh)).rowcount
    for number in affected:
        announcements.reopen_summary(connection, number)
    if count:
        details = {"messages": count, "user_id": user_id}
        add_entry(
            connection, at=now, actor=actor, action="notifications_retried", batch_number=batch_number, details=details
        )
    return count


def count_unsent_to(connection: Connection, user_id: int) -> int:
    """Count a member's messages that failed or could not be delivered."""
    unsent = notifications.c.status.in_([NotificationStatus.FAILED, NotificationStatus.UNDELIVERABLE])
    return connection.scalars(select(func.count()).select_from(notifications).where(unsent, _to(user_id))).one()


def _to(user_id: int) -> ColumnElement[bool]:
    """Match a member's messages, found by the member's payouts: there is no index of messages by member."""
    paid_in = select(wallet_transactions.c.cashback_payout_batch_number).where(
        wallet_transactions.c.user_discord_id == user_id,
        wallet_transactions.c.cashback_payout_batch_number.is_not(None),
    )
    return and_(notifications.c.user_id == user_id, notifications.c.batch_number.in_(paid_in))
