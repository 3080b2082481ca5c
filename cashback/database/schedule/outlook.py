"""What comes next: the schedule at a glance, and the slot that the admins get a notice of."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from cashback.database.schedule import schedule, slots
from cashback.domain.calendar import Schedule
from cashback.domain.model import ScheduleOverview

SLOTS_SHOWN: Final = 8


def overview(connection: Connection, *, configured: Schedule, now: datetime) -> ScheduleOverview:
    """Return when the weekly batch comes next, and the outcomes of the last slots.

    If no schedule was ever in force, it shows the configured one.
    """
    state = schedule.find_state(connection)
    in_force = state.schedule if state else configured
    rule = in_force.rule
    return ScheduleOverview(
        rule=in_force.rule_text,
        grace_hours=in_force.grace_hours,
        notice_hours=in_force.notice_hours,
        next_slot_at=slots.open_slots(connection, rule, now=now, count=1)[0] if rule else None,
        paused_by=state.paused_by if state else None,
        paused_reason=state.paused_reason if state else None,
        latest=tuple(slots.latest(connection, limit=SLOTS_SHOWN)),
    )


def slot_to_notice(connection: Connection, *, now: datetime) -> datetime | None:
    """Return the slot that the admins are to get a notice of now; None if there is none.

    Only the very next slot, within the notice time, undecided, and not while the schedule is paused.
    """
    state = schedule.find_state(connection)
    if state is None or state.schedule.rule is None or state.paused_by is not None:
        return None
    slot_at = state.schedule.rule.next_slot(now)
    if now < slot_at - timedelta(hours=state.schedule.notice_hours) or not slots.undecided(connection, [slot_at]):
        return None
    return slot_at
