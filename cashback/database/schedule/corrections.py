"""Corrections: what the schedule decided under a clock that was ahead is void once the clock is right again.

Most rows show it by themselves: they were decided at a moment that is still to come.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, update

from cashback.database.audit_log import add_entry
from cashback.database.schedule import schedule
from cashback.database.tables import audit_log, schedule_slots, schedule_state, slot_posts
from cashback.domain.clock import TOLERANCE
from cashback.domain.model import SlotStatus
from cashback.domain.snowflakes import DISCORD_EPOCH

CORRECTED: Final = "schedule_corrected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Decisions about slots that are void, oldest slot first, and the moment that the schedule wrongly counted from."""

    slots: tuple[datetime, ...]
    wrong_beginning: datetime | None

    def __bool__(self) -> bool:
        """Return whether there is anything to correct."""
        return bool(self.slots) or self.wrong_beginning is not None

    def __str__(self) -> str:
        """Write in one line what was corrected."""
        parts = []
        if self.slots:
            first, last = (f"{each:%Y-%m-%d %H:%M} UTC" for each in (self.slots[0], self.slots[-1]))
            weeks = f"the slot of {first}" if len(self.slots) == 1 else f"{len(self.slots)} slots, {first} to {last},"
            parts.append(f"what was decided about {weeks} is void and is decided again")
        if self.wrong_beginning is not None:
            parts.append(f"the schedule counts from now, no longer from {self.wrong_beginning:%Y-%m-%d %H:%M} UTC")
        return f"The machine's clock was wrong: {'; '.join(parts)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """Since when the schedule is in force, as written by a clock that nothing confirmed, and as it should be."""

    written: datetime
    right: datetime


NOTHING_WRONG: Final = Correction(slots=(), wrong_beginning=None)


def find(connection: Connection, *, now: datetime, beginning: Beginning | None = None) -> Correction:
    """Find what was decided at a moment that is still to come, and a beginning that turned out to be wrong.

    A clock that was behind leaves no row to come: only the process that wrote the `beginning` knows.
    """
    state = schedule.find_state(connection)
    since = state.in_force_since if state else None
    is_wrong = since is not None and (
        since > now + TOLERANCE
        or since < DISCORD_EPOCH <= now
        or (beginning is not None and since == beginning.written and abs(since - beginning.right) > TOLERANCE)
    )
    return Correction(slots=_void_slots(connection, now), wrong_beginning=since if is_wrong else None)


def _void_slots(connection: Connection, now: datetime) -> tuple[datetime, ...]:
    """List the slots that the schedule decided at a moment to come.

    Batches stand, since the clock may have been right then and be behind now, unless it jumped: then the slots before
    were missed at the same moment.
    """
    query = select(schedule_slots.c.slot_at, schedule_slots.c.status, schedule_slots.c.decided_at).where(
        schedule_slots.c.decided_at > now + TOLERANCE, schedule_slots.c.decided_by == "schedule"
    )
    decided = connection.execute(query.order_by(schedule_slots.c.slot_at)).all()
    missed_at = [row.decided_at for row in decided if row.status == SlotStatus.MISSED]
    return tuple(
        row.slot_at
        for row in decided
        if row.status != SlotStatus.BATCHED
        or (row.slot_at > now and any(abs(row.decided_at - each) <= TOLERANCE for each in missed_at))
    )


def apply(connection: Connection, *, now: datetime, beginning: Beginning | None = None) -> Correction:
    """Make void what `find` finds, with one entry in the audit log, and return it."""
    found = find(connection, now=now, beginning=beginning)
    if not found:
        return found
    # What the audit channel shows of a slot was about the void decision: the next one is shown too.
    for table in (slot_posts, schedule_slots):
        connection.execute(delete(table).where(table.c.slot_at.in_(found.slots)))
    if found.wrong_beginning is not None:
        connection.execute(update(schedule_state).values(in_force_since=beginning.right if beginning else now))
    details = {
        "slots": [each.isoformat() for each in found.slots],
        "wrong_beginning": found.wrong_beginning and found.wrong_beginning.isoformat(),
    }
    add_entry(connection, at=now, actor="schedule", action=CORRECTED, details=details)
    return found


def last_made(connection: Connection, *, since: datetime) -> datetime | None:
    """Return when the schedule was last corrected; None if not since then."""
    query = select(audit_log.c.at).where(audit_log.c.action == CORRECTED, audit_log.c.at >= since)
    return connection.scalars(query.order_by(audit_log.c.id.desc()).limit(1)).first()
