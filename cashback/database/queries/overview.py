"""The ledger at a glance: sums over batches and over pending cashback, never over all payouts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from cashback.database.payouts import batches, outbox, reversed_sums
from cashback.database.queries.upkeep import Upkeep, upkeep
from cashback.database.referral_program.pending import held_and_owed, pending_by_referrer, pending_totals
from cashback.database.tables import (
    audit_log,
    is_open,
    is_settled,
    notifications,
    outbox_counts,
    payout_batches,
    schedule_slots,
    wallet_transactions,
)
from cashback.database.wallets import withdrawals
from cashback.domain.model import BatchStatus, PaidWeek, PayoutStatus, PlannedPayout

WEEKS: Final = 12
TOP: Final = 10
UNDER_WAY: Final = (BatchStatus.RUNNING, BatchStatus.STOPPED)
"""Their totals are not stored yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the ledger holds. `payouts` counts by state; `weeks` go from oldest to newest.

    Batches that run or are stopped count with the payouts that they have settled.
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
    reversed_cents: int
    open_withdrawals: int
    open_withdrawals_cents: int
    slots: Mapping[str, int]
    weeks: tuple[PaidWeek, ...]
    upkeep: Upkeep

    @property
    def net_cents(self) -> int:
        """The cents paid and not reversed."""
        return self.paid_cents - self.reversed_cents


Stamp = tuple[int, int]
"""The newest wallet transaction and the newest audit entry: they change when something is paid or decided."""


def stamp(connection: Connection) -> Stamp:
    """Return the ledger's stamp."""
    newest = (func.coalesce(func.max(key), 0) for key in (wallet_transactions.c.id, audit_log.c.id))
    transaction_id, entry_id = (connection.scalars(select(key)).one() for key in newest)
    return int(transaction_id), int(entry_id)


def overview(connection: Connection, *, now: datetime, min_payout_cents: int) -> Overview:
    """Sum up the ledger."""
    users, cents = pending_totals(connection, now, min_payout_cents=min_payout_cents)
    batch = payout_batches.c
    payouts, paid_cents = _payouts(connection)
    withdrawals_count, withdrawals_cents = withdrawals.queue_totals(connection)
    return Overview(
        as_of=now,
        pending_users=users,
        pending_cents=cents,
        **held_and_owed(connection, now),
        top_pending=_top_pending(connection, now),
        queued_messages=outbox.depth(connection),
        settled_messages=_counted(connection, _settled_messages()),
        batches=_counted(connection, select(batch.status, func.count()).group_by(batch.status)),
        payouts=payouts,
        paid_cents=paid_cents,
        reversed_cents=reversed_sums.total_cents(connection),
        open_withdrawals=withdrawals_count,
        open_withdrawals_cents=withdrawals_cents,
        slots=_counted(connection, select(schedule_slots.c.status, func.count()).group_by(schedule_slots.c.status)),
        weeks=paid_by_week(connection, now),
        upkeep=upkeep(connection, now=now),
    )


def _settled_messages() -> Select[Any]:
    """Count the messages that are not queued, by state: those kept and those that were thinned to counts."""
    kept = select(notifications.c.status, func.count().label("messages")).where(is_settled)
    thinned = select(outbox_counts.c.status, outbox_counts.c.messages)
    both = kept.group_by(notifications.c.status).union_all(thinned).subquery()
    return select(both.c.status, func.sum(both.c.messages)).group_by(both.c.status)


def _payouts(connection: Connection) -> tuple[dict[str, int], int]:
    """Count payouts by state, and sum up what was paid: ended batches store both, the others are counted."""
    batch = payout_batches.c
    stored = (batch.credited_count, batch.failed_count, batch.skipped_count, batch.credited_cents)
    sums = select(*(func.coalesce(func.sum(column), 0) for column in stored)).where(batch.status.not_in(UNDER_WAY))
    credited, failed, skipped, paid_cents = connection.execute(sums).one()
    waiting = select(func.coalesce(func.sum(batch.planned_count), 0)).where(
        is_open, batch.status != BatchStatus.RUNNING
    )
    found = {"planned": connection.scalars(waiting).one(), "credited": credited, "failed": failed, "skipped": skipped}
    for number in connection.scalars(select(batch.number).where(batch.status.in_(UNDER_WAY))).all():
        totals = batches.totals_of(connection, number)
        paid_cents += totals[PayoutStatus.CREDITED][1]
        for status, (count, _) in totals.items():
            found[status] += count
    return found, paid_cents


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


def paid_by_week(connection: Connection, now: datetime) -> tuple[PaidWeek, ...]:
    """Sum up what was paid and reversed in each of the last weeks, this one last; empty weeks are included."""
    this_monday = monday_of(now)
    mondays = [this_monday - timedelta(weeks=n) for n in reversed(range(WEEKS))]
    query = select(payout_batches.c.finished_at, payout_batches.c.credited_cents)
    paid = _by_monday(
        (at, cents) for at, cents in connection.execute(query.where(payout_batches.c.finished_at >= mondays[0]))
    )
    returned = _by_monday(reversed_sums.since(connection, mondays[0]))
    return tuple(
        PaidWeek(monday=monday, paid_cents=paid.get(monday, 0), reversed_cents=returned.get(monday, 0))
        for monday in mondays
    )


def _by_monday(amounts: Iterable[tuple[datetime, int]]) -> dict[datetime, int]:
    weeks: dict[datetime, int] = {}
    for moment, cents in amounts:
        monday = monday_of(moment)
        weeks[monday] = weeks.get(monday, 0) + cents
    return weeks


def monday_of(moment: datetime) -> datetime:
    """Return the midnight at which a moment's week begins."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())
