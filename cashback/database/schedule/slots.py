"""Slots: the scheduled moments of the weekly batch. A slot has one row, and the row decides, not the trigger.

A slot's row and its batch are written in one transaction, so that a crash cannot separate them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, delete, exists, insert, not_, select, update

from cashback.database.audit_log import add_entry
from cashback.database.payouts import approvals, proposals
from cashback.database.schedule import schedule
from cashback.database.tables import payout_batches, schedule_slots, slot_posts
from cashback.domain.calendar import WEEK, Rule, Schedule
from cashback.domain.errors import NothingPendingError, StaleBatchError
from cashback.domain.model import BatchLimits, SlotRecord, SlotStatus

NEVER: Final = Schedule(rule=None, grace_hours=0, notice_hours=0)
"""The schedule of a caller that has no configuration."""

LEAST_GRACE: Final = timedelta(minutes=1)
"""A trigger fires after its moment, not at it: a grace time of 0 hours must leave room for that."""

REOPENED: Final = 2
"""The state of a posted notice whose slot is no longer skipped, until it shows that."""

LONGEST_NEWS: Final = timedelta(weeks=10)
"""A slot that passed longer before its decision is not worth a line of its own."""

LONGEST_ABSENCE: Final = timedelta(weeks=26)
"""Slots that passed longer ago get no row: a clock that was years behind must not leave thousands of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSlots:
    """The slots due at a moment: one to pay, if any, and the missed ones, with the reason.

    `rule` is None if the weekly batch is off; then nothing is due.
    """

    rule: Rule | None
    payable: datetime | None
    missed: tuple[tuple[datetime, str], ...]


def due(connection: Connection, *, now: datetime) -> DueSlots:
    """Find the undecided slots that have passed: the latest is paid within the grace time, older ones are missed.

    A slot that is at most a minute late is always in time, even if the grace time is 0 hours.

    If several weeks passed, their earnings are part of the one batch.
    """
    state = schedule.in_force(connection)
    rule, grace = state.schedule.rule, max(timedelta(hours=state.schedule.grace_hours), LEAST_GRACE)
    if rule is None:
        return DueSlots(rule=None, payable=None, missed=())
    # A decided slot does not show that those before it were decided: an admin may have skipped it ahead of its time,
    # or a correction of the clock may have voided the older decisions.
    passed = rule.slots_between(max(state.in_force_since, now - LONGEST_ABSENCE), now)
    open_slots = undecided(connection, passed)
    latest_at = open_slots.pop() if open_slots and open_slots[-1] == passed[-1] else None
    missed = [(slot_at, "nothing ran then; the cashback is part of a later batch") for slot_at in open_slots]
    if latest_at is not None and now - latest_at > grace:
        allowed = f"{state.schedule.grace_hours} h" if state.schedule.grace_hours else "a minute"
        missed.append((latest_at, f"nothing was paid then, nor within the grace time of {allowed}"))
        latest_at = None
    return DueSlots(rule=rule, payable=latest_at, missed=tuple(missed))


_DECIDED: Final = select(schedule_slots.c.slot_at).where(
    schedule_slots.c.slot_at.in_(bindparam("slots", expanding=True))
)


def undecided(connection: Connection, slots: Iterable[datetime]) -> list[datetime]:
    """Return those of these slots that have no row yet, in their order."""
    wanted = list(slots)
    if not wanted:
        return []
    decided = set(connection.scalars(_DECIDED, {"slots": wanted}))
    return [slot_at for slot_at in wanted if slot_at not in decided]


def pay(
    connection: Connection,
    slot_at: datetime,
    *,
    now: datetime,
    min_payout_cents: int,
    hold_leavers: bool = False,
    terms: BatchLimits = proposals.UNLIMITED,
    token: str | None = None,
) -> int | None:
    """Decide a due slot: propose and approve its batch, and return the batch's number.

    None if the slot was decided before, the schedule is paused, or nothing is pending; the row has the reason. None
    without a row if the rule was changed in the meantime and has no such slot.
    """
    state = schedule.in_force(connection)
    if not state.owns(slot_at) or not undecided(connection, [slot_at]):
        return None
    if state.paused_by is not None:
        reason = f"paused {schedule.paused(state)}"
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
                slot_at=None if _had_batch(connection, slot_at) else slot_at,
                hold_leavers=hold_leavers,
                terms=terms,
                token=token,
            )
    except NothingPendingError:
        decide(connection, slot_at, SlotStatus.NOTHING_PENDING, actor="schedule", reason=None, now=now)
        return None
    # If two must approve, the schedule is the first and an admin the second: the slot is already decided.
    wait = timedelta(hours=terms.approval_hours)
    valid = timedelta(days=terms.approval_valid_days)
    approvals.approve(connection, summary.batch_number, actor="schedule", now=now, wait=wait, valid=valid)
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


def _had_batch(connection: Connection, slot_at: datetime) -> bool:
    """Return whether a batch was made for a slot under a clock that was ahead; that one keeps the slot's moment."""
    return connection.scalar(select(exists().where(payout_batches.c.slot_at == slot_at))) or False


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
    """Write a slot's row with its audit entry; False if another process was first."""
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


def skip(connection: Connection, slot_at: datetime, *, actor: str, reason: str | None, now: datetime) -> None:
    """Skip a future slot. Raises StaleBatchError if it is not a slot, or no longer one."""
    state = schedule.in_force(connection)
    name = f"The slot of {slot_at:%A %Y-%m-%d %H:%M} UTC"
    for record in find(connection, [slot_at]):
        by = f" by {record.decided_by}" if record.status is SlotStatus.SKIPPED else ""
        raise StaleBatchError(f"{name} is {record.status.replace('_', ' ')}{by} already; nothing was changed.")
    if slot_at <= now:
        raise StaleBatchError(f"{name} has passed; it can no longer be skipped.")
    if not state.owns(slot_at):
        raise StaleBatchError(f"{name} is not in the schedule any more; nothing was changed.")
    decide(connection, slot_at, SlotStatus.SKIPPED, actor=actor, reason=reason, now=now)


def skip_next(connection: Connection, *, actor: str, reason: str | None, now: datetime) -> datetime:
    """Skip the next slot that is not yet skipped, and return it. Raises StaleBatchError if the schedule is off."""
    rule = schedule.in_force(connection).schedule.rule
    if rule is None:
        raise StaleBatchError("The weekly batch is switched off (auto_batch_enabled); there is no slot to skip.")
    [slot_at] = open_slots(connection, rule, now=now, count=1)
    skip(connection, slot_at, actor=actor, reason=reason, now=now)
    return slot_at


def unskip(connection: Connection, slot_at: datetime, *, actor: str, reason: str | None, now: datetime) -> None:
    """Withdraw the skip of a future slot: it is paid when it comes. Raises StaleBatchError if it is not skipped."""
    name = f"The slot of {slot_at:%A %Y-%m-%d %H:%M} UTC"
    if slot_at <= now:
        raise StaleBatchError(f"{name} has passed; nothing was changed.")
    if [record.status for record in find(connection, [slot_at])] != [SlotStatus.SKIPPED]:
        raise StaleBatchError(f"{name} is not skipped; nothing was changed.")
    connection.execute(delete(schedule_slots).where(schedule_slots.c.slot_at == slot_at))
    # The audit channel's posts were about the skip: the notice is opened again, the outcome will be another.
    of_slot = slot_posts.c.slot_at == slot_at
    is_notice = and_(slot_posts.c.kind == "notice", slot_posts.c.message_id.is_not(None))
    connection.execute(delete(slot_posts).where(of_slot, not_(is_notice)))
    connection.execute(update(slot_posts).where(of_slot).values(is_final=REOPENED))
    details = {"slot_at": slot_at.isoformat(), "reason": reason}
    add_entry(connection, at=now, actor=actor, action="slot_unskipped", details=details)


def unskip_next(connection: Connection, *, actor: str, reason: str | None, now: datetime) -> datetime:
    """Withdraw the skip of the next skipped slot, and return it. Raises StaleBatchError if no slot is skipped."""
    skipped = skipped_ahead(connection, now=now)
    if not skipped:
        raise StaleBatchError("No coming slot is skipped; nothing was changed.")
    unskip(connection, skipped[0].slot_at, actor=actor, reason=reason, now=now)
    return skipped[0].slot_at


def skipped_ahead(connection: Connection, *, now: datetime) -> list[SlotRecord]:
    """List the future slots that are skipped, the next one first."""
    query = _slots().where(schedule_slots.c.slot_at > now, schedule_slots.c.status == SlotStatus.SKIPPED)
    return _records(connection, query.order_by(schedule_slots.c.slot_at))


def coming(connection: Connection, *, now: datetime, count: int, configured: Schedule = NEVER) -> list[datetime]:
    """List so many future slots that are not skipped; empty if the weekly batch is off.

    If no schedule was ever in force, they are those of the configured one.
    """
    state = schedule.find_state(connection)
    rule = (state.schedule if state else configured).rule
    return open_slots(connection, rule, now=now, count=count) if rule else []


def open_slots(connection: Connection, rule: Rule, *, now: datetime, count: int) -> list[datetime]:
    """List so many future slots of a rule that are not skipped."""
    found: list[datetime] = []
    slot_at = rule.next_slot(now)
    while len(found) < count:
        found += undecided(connection, [slot_at])
        slot_at += WEEK
    return found


def latest(connection: Connection, *, limit: int) -> list[SlotRecord]:
    """List the latest slots and their outcomes, newest first."""
    return _records(connection, _slots().order_by(schedule_slots.c.slot_at.desc()).limit(limit))


def find(connection: Connection, wanted: Iterable[datetime]) -> list[SlotRecord]:
    """List those of these slots that are decided."""
    return _records(connection, _slots().where(schedule_slots.c.slot_at.in_(list(wanted))))


def without_batch(connection: Connection, *, since: datetime, limit: int) -> list[SlotRecord]:
    """List the slots decided since then without a batch and not yet shown in the audit channel, oldest first."""
    posted = exists().where(
        slot_posts.c.slot_at == schedule_slots.c.slot_at,
        slot_posts.c.kind == "outcome",
        slot_posts.c.message_id.is_not(None),
    )
    query = _slots().where(schedule_slots.c.status != SlotStatus.BATCHED, schedule_slots.c.decided_at >= since)
    query = query.where(schedule_slots.c.slot_at >= since - LONGEST_NEWS)
    return _records(connection, query.where(not_(posted)).order_by(schedule_slots.c.slot_at).limit(limit))


def _slots() -> Select[Any]:
    return select(schedule_slots, payout_batches.c.batch_id).join_from(schedule_slots, payout_batches, isouter=True)


def _records(connection: Connection, query: Select[Any]) -> list[SlotRecord]:
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
