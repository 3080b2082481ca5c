"""The embeds about batches: pure functions from facts to embeds within Discord's limits.

Members are shown as mentions, which never ping from an embed. Text from other people is escaped.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import discord

from cashback.domain import written_moments
from cashback.domain.languages import tr, trn
from cashback.domain.model import (
    BatchMode,
    BatchReport,
    BatchStatus,
    BatchSummary,
    OpenFailure,
    PayoutFailure,
    PayoutNotice,
    PlannedPayout,
    ReasonCount,
)
from cashback.domain.money import dollars, grouped
from cashback.domain.reason_texts import counted_reasons, in_words

FIELD_LENGTH: Final = 1024
DESCRIPTION_LENGTH: Final = 4096
FOOTER_LENGTH: Final = 2048
FAILURE_LENGTH: Final = 200
FIELDS_SHOWN: Final = 5

_JOINER: Final = "\u2060"
"""An invisible character that separates what Discord, or this program, would otherwise read together."""

_PERSON: Final = re.compile(r"\b(?:Member |discord:)([0-9]{15,20})\b")
_NAMES: Final = {"cli": "the command line", "schedule": "the weekly schedule", "system": "the program"}


def clip(text: str, length: int) -> str:
    """Shorten a text to a length; a shortened text ends with an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def escaped(text: str) -> str:
    """Escape markup, mentions and masked links in a text from another person, and ids that `readable` would replace."""
    plain = discord.utils.escape_mentions(discord.utils.escape_markdown(_unmasked(text)))
    return _PERSON.sub(lambda found: f"{found[0][: found.start(1) - found.start()]}{_JOINER}{found[1]}", plain)


def readable(text: str) -> str:
    """Replace the ids in the program's own sentences by mentions, and its moments by those in the reader's time."""
    return in_local_time(_PERSON.sub(r"<@\1>", discord.utils.escape_mentions(_unmasked(text))))


def in_local_time(text: str) -> str:
    """Replace the moments in the program's own sentences by Discord's, which each reader sees in local time."""
    return written_moments.replaced(text, lambda moment: discord.utils.format_dt(moment, "f"))


def _unmasked(text: str) -> str:
    """Separate the two halves of each masked link, so that Discord shows its address."""
    return text.replace("](", f"]{_JOINER}(")


def mention(user_id: int) -> str:
    """Return the mention of a user, also of one that has left the server."""
    return f"<@{user_id}>"


def named(actor: str | None) -> str:
    """Return the name of an actor: a user, the command line, or the schedule."""
    if actor is None:
        return "nobody"
    kind, _, user_id = actor.partition(":")
    if not user_id:
        return _NAMES.get(actor, escaped(actor))
    return mention(int(user_id)) if kind == "discord" else f"{mention(int(user_id))} ({_NAMES.get(kind, kind)})"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 referral", "50 referrals"."""
    return f"{grouped(count)} {noun}{'' if count == 1 else 's'}"


def error(text: str) -> discord.Embed:
    """Show that a request failed, and the reason."""
    return discord.Embed(description=clip(f"❌ {text}", DESCRIPTION_LENGTH), colour=discord.Colour.red())


def notice(text: str) -> discord.Embed:
    """Show a neutral message."""
    return discord.Embed(description=clip(f"ℹ️ {text}", DESCRIPTION_LENGTH), colour=discord.Colour.blurple())


def success(title: str, text: str) -> discord.Embed:
    """Show a success."""
    return discord.Embed(title=f"✅ {title}", description=clip(text, DESCRIPTION_LENGTH), colour=discord.Colour.green())


def warning(title: str, text: str) -> discord.Embed:
    """Show unwelcome news."""
    return discord.Embed(title=f"⚠️ {title}", description=clip(text, DESCRIPTION_LENGTH), colour=discord.Colour.orange())


def summary(batch: BatchSummary, terms: str) -> discord.Embed:
    """Show what a batch would pay, for the admin's decision, with the terms in force below it."""
    if batch.mode is BatchMode.INDIVIDUAL:
        embed = discord.Embed(title="💰 Individual Referral Cashback Payout", colour=discord.Colour.gold())
        first = batch.top[0]
        _field(
            embed,
            "Payment Details",
            [
                f"**User:** {mention(first.referrer_id)} (`{first.referrer_id}`)",
                f"**Amount:** {dollars(first.approved_cents)}",
                f"**Active Referrals:** {grouped(first.referral_count)}",
            ],
        )
    else:
        embed = discord.Embed(title="💰 Referral Cashback Batch Summary", colour=discord.Colour.gold())
        _field(
            embed,
            "📊 Batch Statistics",
            [
                f"**Users Receiving Payment:** {grouped(batch.users)}",
                f"**Total Amount:** {dollars(batch.total_cents)}",
                f"**Average Per User:** {dollars(batch.average_cents)}",
            ],
        )
        lines = [_ranked(place, payout) for place, payout in enumerate(batch.top, start=1)]
        if batch.users > len(batch.top):
            lines.append(f"...and {grouped(batch.users - len(batch.top))} more")
        _field(embed, "🏆 Top Payouts", lines)
    if batch.unusual:
        _field(embed, "⚠️ Flagged", [readable(sentence) for sentence in batch.unusual])
    if batch.left_out:
        _field(embed, "🚧 Excluded", [excluded_line(each) for each in batch.left_out])
    if batch.expires_at is not None:
        embed.description = _decision(batch, batch.expires_at)
    plan = f" • Plan {batch.plan}" if batch.plan else ""
    return embed.set_footer(text=f"Terms: {terms}{plan}")


def _decision(batch: BatchSummary, expires_at: datetime) -> str:
    text = decision_text(batch.first_approved_by, expires_at, batch.needs_second_approver)
    if batch.first_approved_by is not None:
        return f"{text}\n{batch.needs_second_approver}"
    if batch.selected_count:
        return f"**Only {counted(batch.selected_count, 'member')} named by you.**\n{text}"
    return text


def decision_text(first_approved_by: str | None, expires_at: datetime, needs_second_approver: str | None) -> str:
    """Show the deadline of a decision, and the second approver that it needs or waits for."""
    if first_approved_by is not None:
        moment = discord.utils.format_dt(expires_at, "f")
        return f"⏳ **Approved by {named(first_approved_by)}; another admin must approve it before {moment}.**"
    text = f"Confirm or cancel before {discord.utils.format_dt(expires_at, 'T')}."
    if not needs_second_approver:
        return text
    return f"{text}\n👥 {needs_second_approver} Your Confirm is the first of the two."


def excluded_line(each: ReasonCount) -> str:
    """Show how many members a reason excludes, and how much stays pending."""
    return f"{in_words(each.reason).capitalize()}: {counted(each.count, 'member')}, {dollars(each.cents)}"


def _ranked(place: int, payout: PlannedPayout) -> str:
    amount, referrals = dollars(payout.approved_cents), counted(payout.referral_count, "referral")
    return f"{place}. {mention(payout.referrer_id)} - {amount} ({referrals})"


def closed_summary(batch: BatchSummary, terms: str, status: BatchStatus) -> discord.Embed:
    """Show a summary that was cancelled, or that expired."""
    embed = summary(batch, terms)
    if status is BatchStatus.EXPIRED:
        embed.description = "⌛ **This summary expired.** Nothing was paid; ask for a new one."
    else:
        embed.description = "🚫 **This batch was cancelled.** Nothing was paid."
    embed.colour = discord.Colour.dark_grey()
    return embed


def progress(report: BatchReport, note: str | None = None) -> discord.Embed:
    """Show the progress of a batch; `note` is the reason if it was interrupted."""
    embed = discord.Embed(title="⏳ Referral Cashback Batch In Progress", colour=discord.Colour.blurple())
    if note is not None:
        embed.title, embed.colour = "⚠️ Referral Cashback Batch Interrupted", discord.Colour.orange()
        embed.description = clip(note, DESCRIPTION_LENGTH)
    _field(embed, "📊 Progress", _so_far(report))
    return embed


def _so_far(report: BatchReport) -> list[str]:
    return [
        f"**Users Paid:** {grouped(report.users_paid)} of {grouped(report.users_planned)}",
        f"**Distributed:** {dollars(report.total_cents)} of {dollars(report.approved_cents)}",
        f"**Failed:** {grouped(report.failed)}",
        f"**Skipped:** {grouped(report.skipped)}",
        f"**Batch ID:** {report.batch_id}",
    ]


def stopped(report: BatchReport) -> discord.Embed:
    """Show a batch that an admin has stopped, and the choices for the rest."""
    left = report.users_planned - report.users_paid - report.failed - report.skipped
    embed = discord.Embed(
        title="⏸️ Referral Cashback Batch Stopped",
        description=(
            f"What is paid stays paid; {counted(left, 'payout')} {'is' if left == 1 else 'are'} left.\n"
            "**Resume** pays the rest. **Abandon** ends the batch: the rest stays pending for a later one."
        ),
        colour=discord.Colour.orange(),
    )
    _field(embed, "📊 Progress", _so_far(report))
    return embed


def result(report: BatchReport) -> tuple[discord.Embed, bool]:
    """Return a batch's result, and whether its list of failures was shortened."""
    colour = discord.Colour.orange() if report.failed else discord.Colour.green()
    embed = discord.Embed(title="✅ Referral Cashback Batch Complete", colour=colour, timestamp=report.finished_at)
    if report.status is BatchStatus.LAPSED:
        embed.title, embed.colour = "⌛ Referral Cashback Batch Lapsed", discord.Colour.orange()
        embed.description = "The approval became too old. What was not paid is pending again and needs a new batch."
    lines = [
        f"**Users Paid:** {grouped(report.users_paid)}",
        f"**Total Distributed:** {dollars(report.total_cents)}",
        f"**Failed:** {grouped(report.failed)}",
        f"**Batch ID:** {report.batch_id}",
    ]
    if report.first_approved_by is not None:
        lines.append(f"**Approved By:** {named(report.first_approved_by)} and {named(report.approved_by)}")
    if report.skipped:
        lines.insert(3, f"**Skipped:** {grouped(report.skipped)} ({counted_reasons(report.skips)})")
    _field(embed, "📊 Results", lines)
    shown = _fitting([_failure_line(each) for each in report.failures], FIELD_LENGTH - len("...and 1,000,000 more"))
    hidden = report.failed - len(shown)
    if report.failed:
        _field(embed, "⚠️ Failed Payouts", [*shown, *([f"...and {grouped(hidden)} more"] if hidden else [])])
    if report.left_out:
        _field(embed, "🚧 Excluded", [excluded_line(each) for each in report.left_out])
    if report.reversed_count:
        reversed_text = f"{dollars(report.reversed_cents)} from {counted(report.reversed_count, 'user')}"
        left = f"**Net:** {dollars(report.net_cents)}"
        _field(embed, "↩️ Reversed", [f"{reversed_text}, {dollars(report.shortfall_cents)} not held", left])
    _field(embed, "✉️ Direct Messages", _direct_messages(report))
    return embed, bool(hidden)


def _direct_messages(report: BatchReport) -> list[str]:
    counts = {
        "Sent": report.dm_sent,
        "Queued": report.dm_queued,
        "Undeliverable": report.dm_undeliverable,
        "Failed": report.dm_failed,
        "Muted": report.dm_muted,
    }
    return [f"**{state}:** {grouped(count)}" for state, count in counts.items() if count] or ["None"]


def _failure_line(failure: PayoutFailure) -> str:
    reason = escaped(clip(failure.reason, FAILURE_LENGTH))
    return f"{mention(failure.referrer_id)} - {dollars(failure.approved_cents)}: {reason}"


def _fitting(lines: Iterable[str], length: int) -> list[str]:
    """Return as many of the first lines as fit into a length."""
    fitting: list[str] = []
    for line in lines:
        length -= len(line) + 1
        if length < 0:
            break
        fitting.append(line)
    return fitting


def open_failures(failures: Sequence[OpenFailure], count: int) -> discord.Embed:
    """List the failed payouts that are neither retried nor abandoned; `count` is their total number."""
    if not count:
        return notice("There are no failed payouts.")
    embed = discord.Embed(
        title="⚠️ Failed Payouts",
        description=(
            "Their cashback is still pending. `retry BATCH-ID` tries a batch's payouts again, `abandon BATCH-ID` leaves"
            " them to a later batch."
        ),
        colour=discord.Colour.orange(),
    )
    by_batch: dict[str, list[str]] = {}
    for each in failures:
        tried = "" if each.attempts == 1 else f" (tried {each.attempts} times)"
        reason = escaped(clip(each.reason, FAILURE_LENGTH))
        line = f"{mention(each.referrer_id)} - {dollars(each.approved_cents)}{tried}: {reason}"
        by_batch.setdefault(each.batch_id, []).append(line)
    shown = 0
    for batch_id, lines in list(by_batch.items())[:FIELDS_SHOWN]:
        fitting = _fitting(lines, FIELD_LENGTH)
        shown += len(fitting)
        _field(embed, batch_id, fitting)
    if count > shown:
        embed.set_footer(text=f"...and {grouped(count - shown)} more; they follow once these are retried or abandoned.")
    return embed


def failures_file(report: BatchReport) -> str:
    """Return all failures of a report as plain text, a line each."""
    lines = [f"{each.referrer_id}\t{dollars(each.approved_cents)}\t{each.reason}" for each in report.failures]
    return "\n".join([f"Failed payouts of {report.batch_id}; their cashback is still pending.", "", *lines, ""])


def audit(report: BatchReport, audit_head: str | None) -> discord.Embed:
    """Show a finished batch in the audit channel.

    `audit_head` is the last digest of the audit log at the end of the batch. A copy on Discord is out of reach of a
    person with access to the database.
    """
    embed = discord.Embed(
        title="💰 Referral Cashback Batch Processed", colour=discord.Colour.gold(), timestamp=report.finished_at
    )
    entries = {
        "Batch ID": f"`{report.batch_id}`",
        "Users Paid": grouped(report.users_paid),
        "Total Amount": dollars(report.total_cents),
        "Failed": grouped(report.failed),
        "Processed By": named(report.first_approved_by or report.approved_by),
        "Mode": report.mode.capitalize(),
    }
    if report.first_approved_by is not None:
        entries["Approved By"] = named(report.approved_by)
    if report.target_user_id is not None:
        entries["Target User"] = f"{mention(report.target_user_id)} (`{report.target_user_id}`)"
    for name, value in entries.items():
        # The ID has its own row: it does not fit into a third of one.
        embed.add_field(name=name, value=clip(value, FIELD_LENGTH), inline=name != "Batch ID")
    if audit_head is not None:
        embed.add_field(name="Audit Head", value=f"`{audit_head}`", inline=False)
    return embed.set_footer(text=f"Batch ID: {report.batch_id}")


def audit_head(entry: int, digest: str) -> discord.Embed:
    """Show the audit log's head of a day, for comparison with the ledger later."""
    embed = discord.Embed(
        title="🔒 Audit Head",
        description="`cashback verify --head …` finds it as long as no entry up to it was changed or removed.",
        colour=discord.Colour.blurple(),
    )
    return embed.add_field(name="Audit Head", value=f"`{digest}`", inline=False).add_field(
        name="Entries", value=grouped(entry)
    )


def received(payout: PayoutNotice, brand_name: str) -> discord.Embed:
    """Show a referrer their payout."""
    embed = discord.Embed(
        title=tr("💰 Referral Cashback Received!"),
        description=tr("Thank you for referring new members to our community!"),
        colour=discord.Colour.green(),
    )
    embed.add_field(name=tr("Amount Credited"), value=dollars(payout.amount_cents), inline=True)
    embed.add_field(name=tr("From Referrals"), value=trn("{count} user", "{count} users", payout.referral_count))
    embed.add_field(name=tr("New Wallet Balance"), value=dollars(payout.balance_after_cents), inline=True)
    return embed.set_footer(text=clip(f"{brand_name} • Batch ID: {payout.batch_id}", FOOTER_LENGTH))


def _field(embed: discord.Embed, name: str, lines: Iterable[str]) -> None:
    embed.add_field(name=name, value=clip("\n".join(lines), FIELD_LENGTH), inline=False)
