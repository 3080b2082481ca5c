"""What people read of the weekly batch on Discord: pure functions from its messages to embeds."""

from datetime import datetime
from typing import Final

import discord

from cashback.cogs.texts.embeds import (
    DESCRIPTION_LENGTH,
    FIELD_LENGTH,
    clip,
    counted,
    escaped,
    left_out_line,
    mention,
    named,
    readable,
)
from cashback.domain.model import OpenNotice, PendingPreview, ScheduleOverview, SlotRecord, SlotStatus
from cashback.domain.money import dollars

REASON_LENGTH: Final = 80
OUTCOMES: Final = {
    SlotStatus.BATCHED: "✅ paid as",
    SlotStatus.NOTHING_PENDING: "➖ nothing was pending",
    SlotStatus.SKIPPED: "⏸️ skipped",
    SlotStatus.MISSED: "❌ missed",
}


def moment(at: datetime) -> str:
    """Write a moment with its countdown; Discord shows both in the reader's own time."""
    return f"{discord.utils.format_dt(at, 'F')} ({discord.utils.format_dt(at, 'R')})"


def overview(schedule: ScheduleOverview, pending: PendingPreview, done: str | None = None) -> discord.Embed:
    """Show the schedule and what it would pay now; `done` says what was just done to it."""
    embed = discord.Embed(title="🗓️ Weekly Referral Cashback", colour=discord.Colour.blurple())
    if done is not None:
        embed.description = clip(done, DESCRIPTION_LENGTH)
    _add(embed, "⏰ Next Run", _next_run(schedule))
    if schedule.paused_by is not None:
        embed.colour = discord.Colour.orange()
        reason = escaped(schedule.paused_reason or "no reason given")
        _add(embed, "⏸️ Paused", f"by {named(schedule.paused_by)}: {reason}\nSlots that come are skipped.")
    _add(embed, "💰 Would Pay Now", _would_pay(pending))
    _add_left_out(embed, pending)
    if schedule.latest:
        _add(embed, "🧾 Last Slots", "\n".join(_line(record) for record in schedule.latest))
    return embed


def _next_run(schedule: ScheduleOverview) -> str:
    if schedule.next_slot_at is None:
        return "never: the weekly batch is switched off (`auto_batch_enabled`)"
    return f"{moment(schedule.next_slot_at)}\nEvery {schedule.rule.capitalize()} UTC"


def _add_left_out(embed: discord.Embed, pending: PendingPreview) -> None:
    if pending.left_out:
        _add(embed, "🚧 Left Out", "\n".join(left_out_line(each) for each in pending.left_out))


def _would_pay(pending: PendingPreview) -> str:
    if not pending.users:
        but = " but that of members who are left out" if pending.left_out else ""
        return f"nothing: no referral cashback is pending{but}"
    return f"**{dollars(pending.total_cents)}** to {counted(pending.users, 'user')}"


def _line(record: SlotRecord) -> str:
    return f"{discord.utils.format_dt(record.slot_at, 'd')} {outcome(record)}"


def outcome(record: SlotRecord) -> str:
    """Say what became of a slot."""
    said = OUTCOMES[record.status]
    if record.batch_id is not None:
        return f"{said} `{record.batch_id}`"
    if record.status is SlotStatus.SKIPPED and record.decided_by != "schedule":
        said += f" by {named(record.decided_by)}"
    reason = readable(escaped(clip(record.reason, REASON_LENGTH))) if record.reason else None
    return f"{said}: {reason}" if reason else said


def notice(slot_at: datetime, pending: PendingPreview) -> discord.Embed:
    """Tell the admins of a slot that is to come, and what it would pay by now."""
    embed = discord.Embed(title="🗓️ Upcoming Weekly Cashback Batch", colour=discord.Colour.gold())
    embed.description = f"{moment(slot_at)}\nIt pays by itself. **Hold** skips it; the cashback stays pending."
    _add(embed, "📊 So Far", f"**Users:** {pending.users:,}\n**Total:** {dollars(pending.total_cents)}")
    if pending.top:
        lines = [
            f"{place}. {mention(payout.referrer_id)} - {dollars(payout.approved_cents)}"
            f" ({counted(payout.referral_count, 'referral')})"
            for place, payout in enumerate(pending.top, start=1)
        ]
        _add(embed, "🏆 Top Payouts", "\n".join(lines))
    _add_left_out(embed, pending)
    return embed.set_footer(text=_footer(slot_at))


def closed_notice(notice: OpenNotice) -> discord.Embed:
    """Show what became of a slot in the place of its notice."""
    embed = discord.Embed(title="🗓️ Weekly Cashback Batch", colour=discord.Colour.dark_grey())
    said = outcome(notice.record) if notice.record else "the schedule was changed; this slot is no more"
    embed.description = f"{discord.utils.format_dt(notice.slot_at, 'F')}: {said}"
    return embed.set_footer(text=_footer(notice.slot_at))


def no_batch(record: SlotRecord) -> discord.Embed:
    """Say in the audit channel that a slot made no batch, and why."""
    embed = discord.Embed(title="🗓️ No Weekly Cashback Batch", colour=discord.Colour.orange())
    embed.description = f"{discord.utils.format_dt(record.slot_at, 'F')}: {outcome(record)}"
    return embed.set_footer(text=_footer(record.slot_at))


def _footer(slot_at: datetime) -> str:
    return f"Slot: {slot_at:%A %Y-%m-%d %H:%M} UTC"


def _add(embed: discord.Embed, name: str, value: str) -> None:
    embed.add_field(name=name, value=clip(value, FIELD_LENGTH), inline=False)
