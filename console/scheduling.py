"""`schedule`: when the weekly batch comes, what became of the last ones, and pausing, resuming and skipping."""

import anyio

import scheduler
from console.office import open_office
from console.output import moment, say, say_json
from console.session import Place
from desk import CLI
from pipeline.errors import CashbackError
from pipeline.messages import ScheduleOverview
from pipeline.money import dollars
from pipeline.ports import Silence
from settings import Settings


def schedule(place: Place, *, action: str | None, reason: str | None, reload: bool, as_json: bool) -> int:
    """Do what is asked, then show the schedule."""
    settings = place.settings()
    overview = anyio.run(_act_and_read, settings, "reload" if reload and action is None else action, reason)
    say_json(_json(overview)) if as_json else say(*_lines(overview))
    return 0


async def _act_and_read(settings: Settings, action: str | None, reason: str | None) -> ScheduleOverview:
    async with open_office(settings, Silence()) as office:
        rule = scheduler.rule_of(settings.referral_settings)
        if action is not None:
            await office.desk.open_schedule(str(rule) if rule else "off")
        if action == "pause" and not await office.desk.pause_schedule(CLI, reason):
            raise CashbackError("The schedule is paused already.")
        if action == "resume" and not await office.desk.resume_schedule(CLI, reason):
            raise CashbackError("The schedule is not paused.")
        if action == "skip":
            if rule is None:
                raise CashbackError("The weekly batch is switched off (auto_batch_enabled); there is no slot to skip.")
            await office.desk.skip_slot(CLI, await scheduler.next_open_slot(office.database, rule), reason)
        return await scheduler.overview(office.database, settings.referral_settings)


def _lines(overview: ScheduleOverview) -> list[str]:
    when = moment(overview.next_slot_at) if overview.next_slot_at else "never: auto_batch_enabled is false"
    lines = [
        f"Rule:      {overview.rule}" + (" UTC" if overview.next_slot_at else ""),
        f"Next:      {when}",
        f"Would pay: {dollars(overview.pending_cents)} to {overview.pending_users:,} now",
    ]
    if overview.paused_by:
        lines.append(f"Paused:    by {overview.paused_by}: {overview.paused_reason or 'no reason given'}")
    for slot in overview.latest:
        what = slot.batch_id or slot.reason or ""
        lines.append(f"  {moment(slot.slot_at)}  {slot.status:<15}  {what}".rstrip())
    return lines


def _json(overview: ScheduleOverview) -> dict[str, object]:
    return {
        "enabled": overview.next_slot_at is not None,
        "rule": overview.rule,
        "next_run": overview.next_slot_at,
        "paused_by": overview.paused_by,
        "paused_reason": overview.paused_reason,
        "would_pay": {"users": overview.pending_users, "total_cents": overview.pending_cents},
        "slots": [
            {
                "slot_at": slot.slot_at,
                "status": slot.status,
                "batch_id": slot.batch_id,
                "reason": slot.reason,
                "decided_by": slot.decided_by,
            }
            for slot in overview.latest
        ],
    }
