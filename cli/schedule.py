"""`schedule`: shows the weekly batch and the last ones, and pauses, resumes, skips or reloads it."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import anyio
import typer

from cashback.domain.calendar import OFF
from cashback.domain.model import PendingPreview, ScheduleOverview
from cashback.domain.money import dollars
from cashback.domain.ports import NullObserver
from cashback.domain.reason_texts import counted_reasons
from cashback.services import CLI, AdminService
from cashback.services.schedule import schedule_of
from cashback.settings import Settings
from cli.context import Place
from cli.options import ConfigOption, DatabaseOption, JsonOption, ReasonOption
from cli.output import counted, moment, remark, say, say_json
from cli.payment_session import open_payment_session


class ScheduleAction(StrEnum):
    """The changes to the schedule."""

    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"
    UNSKIP = "unskip"


def command(
    context: typer.Context,
    *,
    action: Annotated[
        ScheduleAction | None, typer.Argument(metavar="ACTION", help="pause, resume, skip the next slot, or unskip it.")
    ] = None,
    reason: ReasonOption = None,
    reload: Annotated[bool, typer.Option("--reload", help="Apply the schedule of config.json now.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Change the schedule if asked, then show it."""
    settings = Place.of(context, config, database).settings()
    overview, pending = anyio.run(_act_and_read, settings, action, reason, reload)
    say_json(_json(overview, pending)) if as_json else say(*_lines(overview, pending))
    configured = schedule_of(settings.referral_settings).rule_text
    if overview.rule != configured:
        remark(
            f"The configuration says {configured}, but {overview.rule} is in force;"
            " `cashback schedule --reload` or a restart of the bot applies the configuration."
        )
    return 0


async def _act_and_read(
    settings: Settings,
    action: ScheduleAction | None,
    reason: str | None,
    reload: bool,  # noqa: FBT001 -- anyio.run passes positions
) -> tuple[ScheduleOverview, PendingPreview]:
    async with open_payment_session(settings, NullObserver(), create=reload) as session:
        if reload:
            await session.service.reload_schedule(CLI)
        await _act(session.service, action, reason)
        return await session.service.schedule_overview(), await session.service.preview()


async def _act(service: AdminService, action: ScheduleAction | None, reason: str | None) -> None:
    if action is ScheduleAction.PAUSE:
        await service.pause_schedule(CLI, reason)
    elif action is ScheduleAction.RESUME:
        await service.resume_schedule(CLI, reason)
    elif action is ScheduleAction.SKIP:
        await service.skip_next(CLI, reason)
    elif action is ScheduleAction.UNSKIP:
        await service.unskip_next(CLI, reason)


def _lines(overview: ScheduleOverview, pending: PendingPreview) -> list[str]:
    is_off = overview.rule == OFF
    lines = [
        f"Rule:      {overview.rule}" + ("" if is_off else " UTC"),
        f"Next:      {'never: auto_batch_enabled is false' if is_off else moment(overview.next_slot_at)}",
        f"Would pay: {dollars(pending.total_cents)} to {counted(pending.users, 'user')} now",
    ]
    if pending.left_out:
        lines.append(f"Excluded:  {counted_reasons(pending.left_out)}")
    if overview.paused_by:
        lines.append(f"Paused:    by {overview.paused_by}: {overview.paused_reason or 'no reason given'}")
    for slot in overview.latest:
        what = slot.batch_id or slot.reason or ""
        lines.append(f"  {moment(slot.slot_at)}  {slot.status:<15}  {what}".rstrip())
    return lines


def _json(overview: ScheduleOverview, pending: PendingPreview) -> dict[str, object]:
    return {
        "enabled": overview.rule != OFF,
        "rule": overview.rule,
        "grace_hours": overview.grace_hours,
        "notice_hours": overview.notice_hours,
        "next_run": overview.next_slot_at,
        "paused_by": overview.paused_by,
        "paused_reason": overview.paused_reason,
        "would_pay": {
            "users": pending.users,
            "total_cents": pending.total_cents,
            "left_out": [asdict(each) for each in pending.left_out],
        },
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
