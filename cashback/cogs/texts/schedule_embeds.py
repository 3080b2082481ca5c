"""The embeds about the weekly batch: pure functions from facts to embeds."""

import re
from datetime import datetime
from typing import Final

import discord

from cashback.cogs.texts.embeds import (
    DESCRIPTION_LENGTH,
    FIELD_LENGTH,
    clip,
    counted,
    escaped,
    excluded_line,
    mention,
    named,
    readable,
)
from cashback.domain.model import OpenNotice, PendingPreview, ScheduleOverview, SlotRecord, SlotStatus
from cashback.domain.money import dollars, grouped

SHOWN_REASON_LENGTH: Final = 80
_PAUSED: Final = re.compile(r"(by [a-z]+(?::[0-9]+)?: )(.*)", re.DOTALL)
"""The reason that the schedule writes if it is paused: the actor, and the actor's own reason."""

OUTCOMES: Final = {
    SlotStatus.BATCHED: "✅ paid as",
    SlotStatus.NOTHING_PENDING: "➖ nothing was pending",
    SlotStatus.SKIPPED: "⏸️ skipped",
    SlotStatus.MISSED: "❌ missed",
}


def moment(at: datetime) -> str:
    """Return a moment with its countdown; Discord shows both in the reader's time zone."""
    return f"{discord.utils.format_dt(at, 'F')} ({discord.utils.format_dt(at, 'R')})"


def overview(schedule: ScheduleOverview, pending: PendingPreview, done: str | None = None) -> discord.Embed:
    """Show the schedule and what it would pay now; `done` is the change just made."""
    embed = discord.Embed(title="🗓️ Weekly Referral Cashback", colour=discord.Colour.blurple())
    if done is not None:
        embed.description = clip(done, DESCRIPTION_LENGTH)
    _add(embed, "⏰ Next Run", _next_run(schedule))
    if schedule.paused_by is not None:
        embed.colour = discord.Colour.orange()
        reason = escaped(schedule.paused_reason or "no reason given")
        _add(
            embed,
            "⏸️ Paused",
            f"by {named(schedule.paused_by)}: {reason}\nWeekly batches are skipped until the schedule is resumed.",
        )
    _add(embed, "💰 Would Pay Now", _would_pay(pending))
    _add_excluded(embed, pending)
    if schedule.latest:
        _add(embed, "🧾 Last Slots", "\n".join(_line(record) for record in schedule.latest))
    return embed


def _next_run(schedule: ScheduleOverview) -> str:
    if schedule.next_slot_at is None:
        return "never: the weekly batch is switched off (`auto_batch_enabled`)"
    paused = "none while it is paused; once resumed: " if schedule.paused_by is not None else ""
    return f"{paused}{moment(schedule.next_slot_at)}\nEvery {schedule.rule.capitalize()} UTC"


def _add_excluded(embed: discord.Embed, pending: PendingPreview) -> None:
    if pending.left_out:
        _add(embed, "🚧 Excluded", "\n".join(excluded_line(each) for each in pending.left_out))


def _would_pay(pending: PendingPreview) -> str:
    if not pending.users:
        excluded = " except for excluded members" if pending.left_out else ""
        return f"nothing: no referral cashback is pending{excluded}"
    return f"**{dollars(pending.total_cents)}** to {counted(pending.users, 'user')}"


def _line(record: SlotRecord) -> str:
    return f"{discord.utils.format_dt(record.slot_at, 'd')} {outcome(record)}"


def outcome(record: SlotRecord) -> str:
    """Return the outcome of a slot."""
    text = OUTCOMES[record.status]
    if record.batch_id is not None:
        return f"{text} `{record.batch_id}`"
    if record.status is SlotStatus.SKIPPED and record.decided_by != "schedule":
        text += f" by {named(record.decided_by)}"
    return f"{text}: {_reason_of(record)}" if record.reason else text


def _reason_of(record: SlotRecord) -> str:
    """Return a slot's reason. The schedule's own reasons may begin with the admin that paused it."""
    reason = clip(record.reason or "", SHOWN_REASON_LENGTH)
    paused = _PAUSED.fullmatch(reason) if record.decided_by == "schedule" else None
    return f"{readable(paused[1])}{escaped(paused[2])}" if paused else escaped(reason)


def notice(slot_at: datetime, pending: PendingPreview) -> discord.Embed:
    """Announce the next weekly batch to the admins, and what it would pay now."""
    embed = discord.Embed(title="🗓️ Upcoming Weekly Cashback Batch", colour=discord.Colour.gold())
    embed.description = (
        f"{moment(slot_at)}\nIt pays automatically. **Skip this week** skips it; the cashback stays pending."
    )
    _add(embed, "📊 So Far", f"**Users:** {grouped(pending.users)}\n**Total:** {dollars(pending.total_cents)}")
    if pending.top:
        lines = [
            f"{place}. {mention(payout.referrer_id)} - {dollars(payout.approved_cents)}"
            f" ({counted(payout.referral_count, 'referral')})"
            for place, payout in enumerate(pending.top, start=1)
        ]
        _add(embed, "🏆 Top Payouts", "\n".join(lines))
    _add_excluded(embed, pending)
    return embed.set_footer(text=_footer(slot_at))


def closed_notice(notice: OpenNotice) -> discord.Embed:
    """Show the outcome of a slot in its notice."""
    embed = discord.Embed(title="🗓️ Weekly Cashback Batch", colour=discord.Colour.dark_grey())
    text = outcome(notice.record) if notice.record else "the schedule was changed; this slot no longer exists"
    embed.description = f"{discord.utils.format_dt(notice.slot_at, 'F')}: {text}"
    return embed.set_footer(text=_footer(notice.slot_at))


def unskipped(slot_at: datetime, actor: str) -> discord.Embed:
    """Show that the skip of a slot was undone."""
    embed = discord.Embed(title="🗓️ Weekly Cashback Batch", colour=discord.Colour.gold())
    embed.description = f"{moment(slot_at)}: ▶️ no longer skipped, by {named(actor)}. It pays when its time comes."
    return embed.set_footer(text=_footer(slot_at))


def no_batch(record: SlotRecord) -> discord.Embed:
    """Show in the audit channel that a slot made no batch, and the reason."""
    embed = discord.Embed(title="🗓️ No Weekly Cashback Batch", colour=discord.Colour.orange())
    embed.description = f"{discord.utils.format_dt(record.slot_at, 'F')}: {outcome(record)}"
    return embed.set_footer(text=_footer(record.slot_at))


def _footer(slot_at: datetime) -> str:
    return f"Slot: {slot_at:%A %Y-%m-%d %H:%M} UTC"


def _add(embed: discord.Embed, name: str, value: str) -> None:
    embed.add_field(name=name, value=clip(value, FIELD_LENGTH), inline=False)
