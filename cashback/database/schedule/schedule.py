"""The stored schedule: the rule in force, since when, and whether an admin has paused it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from cashback.database.audit_log import add_entry
from cashback.database.tables import schedule_state
from cashback.domain.calendar import OFF, Rule, Schedule
from cashback.domain.errors import StaleBatchError


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """The schedule in force, since when, and whether an admin has paused it."""

    schedule: Schedule
    in_force_since: datetime
    paused_by: str | None
    paused_reason: str | None
    paused_at: datetime | None

    def owns(self, slot_at: datetime) -> bool:
        """Return whether a moment is a slot of the rule in force. Moments before it came into force are not."""
        rule = self.schedule.rule
        return rule is not None and slot_at > self.in_force_since and rule.has(slot_at)


def put_in_force(connection: Connection, wanted: Schedule, *, actor: str, now: datetime) -> ScheduleState:
    """Put a schedule in force. A new rule counts from now, so that no past slot is due."""
    state = find_state(connection)
    if state is not None and state.schedule == wanted:
        return state
    values = {"rule": wanted.rule_text, "grace_hours": wanted.grace_hours, "notice_hours": wanted.notice_hours}
    if state is None:
        connection.execute(insert(schedule_state).values(id=1, in_force_since=now, **values))
    else:
        since = state.in_force_since if state.schedule.rule == wanted.rule else now
        connection.execute(update(schedule_state).values(in_force_since=since, **values))
    before = state.schedule.rule_text if state else None
    add_entry(connection, at=now, actor=actor, action="schedule_changed", details={**values, "before": before})
    return in_force(connection)


_STATE: Final = select(schedule_state)


def find_state(connection: Connection) -> ScheduleState | None:
    """Read the schedule's state; None before any was in force."""
    row = connection.execute(_STATE).one_or_none()
    if row is None:
        return None
    return ScheduleState(
        schedule=Schedule(
            rule=None if row.rule == OFF else Rule.parse(row.rule),
            grace_hours=row.grace_hours,
            notice_hours=row.notice_hours,
        ),
        in_force_since=row.in_force_since,
        paused_by=row.paused_by,
        paused_reason=row.paused_reason,
        paused_at=row.paused_at,
    )


def in_force(connection: Connection) -> ScheduleState:
    """Read the schedule's state. Raises StaleBatchError if none was ever in force."""
    state = find_state(connection)
    if state is None:
        raise StaleBatchError(
            "The schedule has never been set; start the bot once, or run `cashback schedule --reload`."
        )
    return state


def pause(connection: Connection, *, actor: str, reason: str | None, now: datetime) -> None:
    """Pause the schedule: coming slots are skipped, with the actor and the reason.

    Raises StaleBatchError if already paused.
    """
    state = in_force(connection)
    if state.paused_by is not None:
        raise StaleBatchError(f"The schedule is already paused, {paused(state)}.")
    connection.execute(update(schedule_state).values(paused_by=actor, paused_reason=reason, paused_at=now))
    add_entry(connection, at=now, actor=actor, action="schedule_paused", details={"reason": reason})


def resume(
    connection: Connection, since: datetime | None = None, *, actor: str, reason: str | None, now: datetime
) -> None:
    """End a pause, or only the one `since` a moment. Raises StaleBatchError if there is no such pause."""
    state = in_force(connection)
    if state.paused_by is None:
        raise StaleBatchError("The schedule is not paused.")
    if since is not None and state.paused_at != since:
        raise StaleBatchError(f"The schedule was paused again, {paused(state)}; nothing was changed.")
    connection.execute(update(schedule_state).values(paused_by=None, paused_reason=None, paused_at=None))
    add_entry(connection, at=now, actor=actor, action="schedule_resumed", details={"reason": reason})


def paused(state: ScheduleState) -> str:
    """Format which actor has paused the schedule, and why."""
    return f"by {state.paused_by}: {state.paused_reason or 'no reason given'}"
