"""What an operator's alarms ask of the ledger: its care, its schedule, and what waits for an admin."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from cashback.database import audit_log, verifications
from cashback.database.schedule import schedule, slots
from cashback.database.tables import is_requested, is_unmatched, schedule_slots, unmatched_purchases, withdrawals
from cashback.domain.model import SlotStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """The state of the ledger for an operator. A moment is None if there was none.

    `is_scheduled`: whether a schedule is in force; `next_slot_at` is None while there is none or it is paused.
    """

    verified_at: datetime | None
    breaches: int
    backed_up_at: datetime | None
    missed_at: datetime | None
    is_scheduled: bool
    next_slot_at: datetime | None
    waiting_purchases: int
    oldest_withdrawal_at: datetime | None


def upkeep(connection: Connection, *, now: datetime) -> Upkeep:
    """Read the state of the ledger for an operator."""
    verified = verifications.last(connection)
    backup = audit_log.newest(connection, audit_log.BACKUP_MADE)
    missed = select(func.max(schedule_slots.c.decided_at)).where(schedule_slots.c.status == SlotStatus.MISSED)
    is_scheduled, next_slot_at = _next_slot(connection, now)
    waiting = select(func.count()).select_from(unmatched_purchases).where(is_unmatched)
    oldest_request = select(func.min(withdrawals.c.requested_at)).where(is_requested)
    return Upkeep(
        verified_at=verified.at if verified else None,
        breaches=verified.breaches if verified else 0,
        backed_up_at=backup["at"] if backup else None,
        missed_at=connection.scalars(missed).one(),
        is_scheduled=is_scheduled,
        next_slot_at=next_slot_at,
        waiting_purchases=connection.scalars(waiting).one(),
        oldest_withdrawal_at=connection.scalars(oldest_request).one(),
    )


def _next_slot(connection: Connection, now: datetime) -> tuple[bool, datetime | None]:
    """Return whether a schedule is in force, and the next slot that is to make a batch."""
    state = schedule.find_state(connection)
    if state is None:
        return True, None
    rule = state.schedule.rule
    if rule is None or state.paused_by is not None:
        return rule is not None, None
    return True, slots.open_slots(connection, rule, now=now, count=1)[0]
