"""Slots: the scheduled moments of the weekly batch. A slot has one row, and the row decides; the bell only rings.

A slot's row and its batch are written in one transaction: there is no moment between them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from database import approvals, proposals
from database.audit_log import add_entry
from database.tables import payout_batches, schedule_slots, schedule_state
from pipeline.errors import NothingPendingError, StaleBatchError
from pipeline.messages import SlotRecord, SlotStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """The schedule as the ledger keeps it: which rule since when, and whether somebody has paused it."""

    rule: str
    in_force_since: datetime
    paused_by: str | None
    paused_reason: str | None


def put_rule_in_force(connection: Connection, rule: str, *, now: datetime) -> ScheduleState:
    """Make a rule the one in force; a new one begins now, so that nothing that is past fires."""
    state = find_state(connection)
    if state is None:
        connection.execute(insert(schedule_state).values(id=1, rule=rule, in_force_since=now))
    elif state.rule != rule:
        connection.execute(update(schedule_state).values(rule=rule, in_force_since=now))
    else:
        return state
    before = state.rule if state else None
    add_entry(connection, at=now, actor="schedule", action="schedule_changed", details={"rule": rule, "before": before})
    return _must_find(connection)


def find_state(connection: Connection) -> ScheduleState | None:
    """Read the schedule's state; None before any rule was in force."""
    row = connection.execute(select(schedule_state)).one_or_none()
    if row is None:
        return None
    return ScheduleState(
        rule=row.rule,
        in_force_since=row.in_force_since,
        paused_by=row.paused_by,
        paused_reason=row.paused_reason,
    )


def _must_find(connection: Connection) -> ScheduleState:
    state = find_state(connection)
    if state is None:
        message = "The schedule has never been set; start the bot once, or run `cashback schedule --reload`."
        raise StaleBatchError(message)
    return state


def undecided(connection: Connection, slots: Iterable[datetime]) -> list[datetime]:
    """Return those of these slots that have no row yet, in their order."""
    wanted = list(slots)
    decided = set(connection.scalars(select(schedule_slots.c.slot_at).where(schedule_slots.c.slot_at.in_(wanted))))
    return [slot_at for slot_at in wanted if slot_at not in decided]


def pay(
    connection: Connection, slot_at: datetime, *, now: datetime, min_payout_cents: int, hold_leavers: bool = False
) -> int | None:
    """Decide a due slot: propose and approve its batch, and return the batch's number.

    None where the slot was decided before, the schedule is paused, or nothing is pending; the row says which.
    """
    if not undecided(connection, [slot_at]):
        return None
    state = _must_find(connection)
    if state.paused_by is not None:
        reason = f"paused by {state.paused_by}: {state.paused_reason or 'no reason given'}"
        decide(connection, slot_at, SlotStatus.SKIPPED, actor="schedule", reason=reason, now=now)
        return None
    try:
        with connection.begin_nested():
            summary = proposals.propose(
                connection,
                actor="schedule",
                now=now,
                expires_at=None,
                min_payout_cents=min_payout_cents,
                slot_at=slot_at,
                hold_leavers=hold_leavers,
            )
    except NothingPendingError:
        decide(connection, slot_at, SlotStatus.NOTHING_PENDING, actor="schedule", reason=None, now=now)
        return None
    approvals.approve(connection, summary.batch_number, actor="schedule", now=now)
    decide(
        connection,
        slot_at,
        SlotStatus.BATCHED,
        actor="schedule",
        reason=None,
        now=now,
        batch_number=summary.batch_number,
    )
    return summary.batch_number


def decide(
    connection: Connection,
    slot_at: datetime,
    status: SlotStatus,
    *,
    actor: str,
    reason: str | None,
    now: datetime,
    batch_number: int | None = None,
) -> bool:
    """Write a slot's row with its audit entry; False where another was first."""
    if not undecided(connection, [slot_at]):
        return False
    connection.execute(
        insert(schedule_slots).values(
            slot_at=slot_at,
            status=status,
            reason=reason,
            decided_by=actor,
            decided_at=now,
            batch_number=batch_number,
        )
    )
    add_entry(
        connection,
        at=now,
        actor=actor,
        action=f"slot_{status}",
        batch_number=batch_number,
        details={"slot_at": slot_at.isoformat(), "reason": reason},
    )
    return True


def pause(connection: Connection, *, actor: str, reason: str | None, now: datetime) -> bool:
    """Pause the schedule: slots that come are skipped, with who and why. False where it was paused already."""
    if _must_find(connection).paused_by is not None:
        return False
    connection.execute(update(schedule_state).values(paused_by=actor, paused_reason=reason, paused_at=now))
    add_entry(connection, at=now, actor=actor, action="schedule_paused", details={"reason": reason})
    return True


def resume(connection: Connection, *, actor: str, reason: str | None, now: datetime) -> bool:
    """End a pause. False where the schedule was not paused."""
    if _must_find(connection).paused_by is None:
        return False
    connection.execute(update(schedule_state).values(paused_by=None, paused_reason=None, paused_at=None))
    add_entry(connection, at=now, actor=actor, action="schedule_resumed", details={"reason": reason})
    return True


def latest(connection: Connection, *, limit: int) -> list[SlotRecord]:
    """List the newest slots first, with what became of them."""
    query = (
        select(schedule_slots, payout_batches.c.batch_id)
        .join_from(schedule_slots, payout_batches, isouter=True)
        .order_by(schedule_slots.c.slot_at.desc())
        .limit(limit)
    )
    return [
        SlotRecord(
            slot_at=row.slot_at,
            status=SlotStatus(row.status),
            batch_id=row.batch_id,
            reason=row.reason,
            decided_by=row.decided_by,
        )
        for row in connection.execute(query)
    ]


def newest_slot(connection: Connection, *, until: datetime) -> datetime | None:
    """Return the latest slot up to a moment that has a row."""
    query = select(schedule_slots.c.slot_at).where(schedule_slots.c.slot_at <= until)
    newest: datetime | None = connection.scalars(query.order_by(schedule_slots.c.slot_at.desc()).limit(1)).one_or_none()
    return newest
