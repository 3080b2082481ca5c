"""What comes next: the schedule at a glance, and the notice ahead of a slot."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, not_, select

from database.calendar import schedule, slots
from database.payouts import absences
from database.programme.pending import pending_by_referrer
from pipeline.calendar import Schedule
from pipeline.messages import PendingPreview, PlannedPayout, ScheduleOverview, SlotNotice

SLOTS_SHOWN: Final = 8
TOP_SHOWN: Final = 3


def overview(
    connection: Connection, *, configured: Schedule, now: datetime, min_payout_cents: int, hold_leavers: bool
) -> ScheduleOverview:
    """Tell when the weekly batch comes next, what it would pay now, and what became of the last slots.

    Where no schedule was ever in force, it is the configured one that would be.
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
        pending=preview(connection, now, min_payout_cents=min_payout_cents, hold_leavers=hold_leavers),
        latest=tuple(slots.latest(connection, limit=SLOTS_SHOWN)),
    )


def slot_to_notice(connection: Connection, *, now: datetime) -> datetime | None:
    """Return the slot that the admins are to be told of at this moment; None where there is none.

    Only the very next slot, within the notice time, undecided, and not while the schedule is paused.
    """
    state = schedule.find_state(connection)
    if state is None or state.schedule.rule is None or state.paused_by is not None:
        return None
    slot_at = state.schedule.rule.next_slot(now)
    if now < slot_at - timedelta(hours=state.schedule.notice_hours) or not slots.undecided(connection, [slot_at]):
        return None
    return slot_at


def notice(
    connection: Connection, slot_at: datetime, *, now: datetime, min_payout_cents: int, hold_leavers: bool
) -> SlotNotice:
    """Read what a slot would pay by now."""
    pending = preview(connection, now, min_payout_cents=min_payout_cents, hold_leavers=hold_leavers)
    return SlotNotice(slot_at=slot_at, pending=pending)


def preview(connection: Connection, now: datetime, *, min_payout_cents: int, hold_leavers: bool) -> PendingPreview:
    """Tell what a batch for everyone would pay now, with its largest payouts. Nothing is planned."""
    payable = pending_by_referrer(now)
    columns = payable.selected_columns
    payable = payable.where(columns.pending_cents >= min_payout_cents)
    payable = payable.where(not_(absences.is_left_out(columns.referrer_id, hold_leavers=hold_leavers)))
    owed = payable.subquery()
    totals = select(func.count(), func.coalesce(func.sum(owed.c.pending_cents), 0))
    users_count, cents = connection.execute(totals).one()
    largest = connection.execute(payable.order_by(columns.pending_cents.desc(), columns.referrer_id).limit(TOP_SHOWN))
    return PendingPreview(
        users=users_count,
        total_cents=cents,
        top=tuple(
            PlannedPayout(
                referrer_id=row.referrer_id, approved_cents=row.pending_cents, referral_count=row.referral_count
            )
            for row in largest
        ),
    )
