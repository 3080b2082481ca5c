"""Batches, payouts, messages and verdicts as lines of text, and as objects for JSON."""

from typing import Any, Final

from cashback.database.integrity.reconciliation import Verdict
from cashback.domain.model import BatchMode, BatchReport, BatchStatus, BatchSummary
from cashback.domain.money import dollars, grouped
from cashback.domain.reason_texts import counted_reasons
from cli.output import counted, moment

FAILURES_SHOWN: Final = 25


def ranking(rows: list[tuple[int, int, int]], total: int) -> list[str]:
    """List (referrer, cents, referrals) as `1. <user> - $25.00 (50 referrals)`, and how many more there are."""
    lines = [
        f"  {place:>2}. {user_id} - {dollars(cents)} ({counted(count, 'referral')})"
        for place, (user_id, cents, count) in enumerate(rows, start=1)
    ]
    if total > len(rows):
        lines.append(f"      …and {grouped(total - len(rows))} more")
    return lines


def summary_lines(summary: BatchSummary) -> list[str]:
    """List what a batch would pay."""
    return [
        "Referral cashback to pay" if summary.mode is BatchMode.BATCH else "Referral cashback to pay to one member",
        f"  Users:    {grouped(summary.users)}",
        f"  Total:    {dollars(summary.total_cents)}",
        f"  Average:  {dollars(summary.average_cents)}",
        "",
        *summary_notes(summary),
        *ranking([(p.referrer_id, p.approved_cents, p.referral_count) for p in summary.top], summary.users),
    ]


def summary_notes(summary: BatchSummary) -> list[str]:
    """List what else an admin must know before confirming: exclusions, flagged payouts, a second approver."""
    notes = []
    if summary.selected_count:
        notes.append(f"  Only:     {counted(summary.selected_count, 'member')} named")
    if summary.left_out:
        notes.append(f"  Excluded: {counted_reasons(summary.left_out)}")
    notes += [f"  Flagged:  {sentence}" for sentence in summary.unusual]
    if summary.needs_second_approver:
        notes.append(f"  Approval: {summary.needs_second_approver}")
    return [*notes, ""] if notes else []


def reversed_text(report: BatchReport) -> str:
    """Write what of a batch was reversed, and what the wallets did not hold."""
    return (
        f"{dollars(report.reversed_cents)} from {counted(report.reversed_count, 'user')},"
        f" {dollars(report.shortfall_cents)} not held, {dollars(report.net_cents)} net"
    )


def report_lines(report: BatchReport) -> list[str]:
    """List how a batch stands."""
    lines = [
        f"Batch {report.batch_id or report.batch_number}: {report.status.replace('_', ' ')}",
        f"  Paid:     {dollars(report.total_cents)} to {counted(report.users_paid, 'user')}",
        f"  Approved: {dollars(report.approved_cents)} to {counted(report.users_planned, 'user')}",
        f"  Failed:   {grouped(report.failed)}",
        f"  Skipped:  {grouped(report.skipped)}{f' ({counted_reasons(report.skips)})' if report.skips else ''}",
    ]
    if report.left_out:
        lines.append(f"  Excluded: {counted_reasons(report.left_out)}")
    if report.first_approved_by:
        lines.append(f"  By:       {report.first_approved_by}, and {report.approved_by or 'nobody yet'}")
    if report.reversed_count:
        lines.append(f"  Reversed: {reversed_text(report)}")
    lines += [f"    failed: {f.referrer_id} - {dollars(f.approved_cents)}: {f.reason}" for f in report.failures]
    if report.failed > len(report.failures):
        lines.append(f"    …and {grouped(report.failed - len(report.failures))} more")
    messages = {
        "sent": report.dm_sent,
        "queued": report.dm_queued,
        "undeliverable": report.dm_undeliverable,
        "failed": report.dm_failed,
        "muted": report.dm_muted,
    }
    counts = ", ".join(f"{grouped(count)} {state}" for state, count in messages.items() if count)
    if counts:
        lines.append(f"  Messages: {counts}{' (a running bot delivers them)' if report.dm_queued else ''}")
    return lines


def report_json(report: BatchReport) -> dict[str, Any]:
    """Return how a batch ended, as JSON for programs."""
    return {
        "batch_id": report.batch_id,
        "status": report.status,
        "mode": report.mode,
        "users_paid": report.users_paid,
        "total_cents": report.total_cents,
        "failed": report.failed,
        "skipped": report.skipped,
        "approved_cents": report.approved_cents,
        "failures": [
            {"referrer_id": f.referrer_id, "approved_cents": f.approved_cents, "reason": f.reason}
            for f in report.failures
        ],
    }


def unpaid_json(status: str, mode: BatchMode, *, users: int = 0, total_cents: int = 0) -> dict[str, Any]:
    """Return a payout that did not happen, under the keys of one that did."""
    return {
        "batch_id": None,
        "status": status,
        "mode": mode,
        "users_paid": users,
        "total_cents": total_cents,
        "failed": 0,
        "skipped": 0,
        "approved_cents": total_cents,
        "failures": [],
    }


def full_report_json(report: BatchReport) -> dict[str, Any]:
    """Return all that is known about a batch."""
    return {
        "batch_id": report.batch_id,
        "number": report.batch_number,
        **report_json(report),
        "target_user_id": report.target_user_id,
        "proposed_by": report.proposed_by,
        "approved_by": report.approved_by,
        "first_approved_by": report.first_approved_by,
        "reversed_count": report.reversed_count,
        "reversed_cents": report.reversed_cents,
        "shortfall_cents": report.shortfall_cents,
        "net_cents": report.net_cents,
        "needs_second_approver": report.needs_second_approver,
        "left_out": [{"reason": each.reason, "count": each.count, "cents": each.cents} for each in report.left_out],
        "proposed_at": report.proposed_at,
        "finished_at": report.finished_at,
        "planned_count": report.users_planned,
        "planned_cents": report.approved_cents,
        "messages": {
            "queued": report.dm_queued,
            "sent": report.dm_sent,
            "undeliverable": report.dm_undeliverable,
            "failed": report.dm_failed,
            "muted": report.dm_muted,
        },
    }


def audit_line(entry: dict[str, Any]) -> str:
    """Write one audit entry."""
    details = ", ".join(f"{key}={value}" for key, value in entry["details"].items() if value is not None)
    return f"  {moment(entry['at'])}  {entry['action']} by {entry['actor']}{': ' if details else ''}{details}"


def exit_code(report: BatchReport) -> int:
    """Return 3 if a payout failed, otherwise 0."""
    return 3 if report.failed or report.status is BatchStatus.COMPLETED_WITH_FAILURES else 0


def verdict_lines(verdict: Verdict) -> list[str]:
    """List what reconciliation found."""
    lines = [f"breach: {breach}" for breach in verdict.breaches] + [f"remark: {remark}" for remark in verdict.remarks]
    if verdict.balanced:
        lines.append(
            f"The books balance: {counted(verdict.payouts_checked, 'payout')}, {dollars(verdict.credited_cents)}"
            " credited, every cent accounted for."
        )
    return [*lines, f"Audit head: {verdict.audit_head}"]
