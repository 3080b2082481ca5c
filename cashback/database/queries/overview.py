"""The ledger at a glance: sums over batches and over pending cashback, never over all payouts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from cashback.database.payouts import outbox
from cashback.database.queries.upkeep import Upkeep, upkeep
from cashback.database.referral_program.pending import held_and_owed, pending_by_referrer, pending_totals
from cashback.database.tables import is_open, is_settled, notifications, payout_batches, schedule_slots
from cashback.domain.model import PlannedPayout

WEEKS: Final = 12
TOP: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the ledger holds. `payouts` counts those of ended batches by state; `weeks` go from oldest to newest.

    A week is its Monday, midnight UTC, with the cents paid by batches that ended in it.
    """

    as_of: datetime
    pending_users: int
    pending_cents: int
    held_cents: int
    owed_cents: int
    top_pending: tuple[PlannedPayout, ...]
    queued_messages: int
    settled_messages: Mapping[str, int]
    batches: Mapping[str, int]
    payouts: Mapping[str, int]
    paid_cents: int
    slots: Mapping[str, int]
    weeks: tuple[tuple[datetime, int], ...]
    upkeep: Upkeep


def overview(connection: Connection, *, now: datetime, min_payout_cents: int) -> Overview:
    """Sum up the ledger."""
    users, cents = pending_totals(connection, now, min_payout_cents=min_payout_cents)
    batch = payout_batches.c
    credited, failed, skipped, paid_cents = connection.execute(
        select(
            *(func.coalesce(func.sum(column), 0) for column in (batch.credited_count, batch.failed_count)),
            *(func.coalesce(func.sum(column), 0) for column in (batch.skipped_count, batch.credited_cents)),
        )
    ).one()
    planned = connection.scalars(select(func.coalesce(func.sum(batch.planned_count), 0)).where(is_open)).one()
    return Overview(
        as_of=now,
        pending_users=users,
        pending_cents=cents,
        **held_and_owed(connection, now),
        top_pending=_top_pending(connection, now),
        queued_messages=outbox.depth(connection),
        settled_messages=_counted(
            connection, select(notifications.c.status, func.count()).where(is_settled).group_by(notifications.c.status)
        ),
        batches=_counted(connection, select(batch.status, func.count()).group_by(batch.status)),
        payouts={"planned": planned, "credited": credited, "failed": failed, "skipped": skipped},
        paid_cents=paid_cents,
        slots=_counted(connection, select(schedule_slots.c.status, func.count()).group_by(schedule_slots.c.status)),
        weeks=paid_by_week(connection, now),
        upkeep=upkeep(connection, now=now),
    )


def _counted(connection: Connection, query: Select[Any]) -> dict[str, int]:
    return {name: count for name, count in connection.execute(query)}  # noqa: C416 -- dict() has no types here


def _top_pending(connection: Connection, now: datetime) -> tuple[PlannedPayout, ...]:
    query = pending_by_referrer(now)
    columns = query.selected_columns
    rows = connection.execute(query.order_by(columns.pending_cents.desc(), columns.referrer_id).limit(TOP))
    return tuple(
        PlannedPayout(referrer_id=row.referrer_id, approved_cents=row.pending_cents, referral_count=row.referral_count)
        for row in rows
    )


def paid_by_week(connection: Connection, now: datetime) -> tuple[tuple[datetime, int], ...]:
    """Sum up what was paid in each of the last weeks, this one last; a week without payouts is included."""
    this_monday = monday_of(now)
    weeks = {this_monday - timedelta(weeks=n): 0 for n in reversed(range(WEEKS))}
    first = next(iter(weeks))
    query = select(payout_batches.c.finished_at, payout_batches.c.credited_cents)
    for finished_at, cents in connection.execute(query.where(payout_batches.c.finished_at >= first)):
        monday = monday_of(finished_at)
        if monday in weeks:
            weeks[monday] += cents
    return tuple(weeks.items())


def monday_of(moment: datetime) -> datetime:
    """Return the midnight at which a moment's week begins."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())
