"""Triggers that uphold what there is no constraint for: what is settled stays, and paid never passes earned."""

from typing import Final

from sqlalchemy import Connection

from cashback.database.dialect import create_refusal

_REFUSED: Final = {
    "cashback_wallet_transactions_fixed": (
        "UPDATE ON wallet_transactions WHEN OLD.transaction_type LIKE 'referral_cashback%'",
        "cashback transactions are only ever added to",
    ),
    "cashback_wallet_transactions_kept": (
        "DELETE ON wallet_transactions WHEN OLD.transaction_type LIKE 'referral_cashback%'",
        "cashback transactions are only ever added to",
    ),
    "cashback_audit_log_fixed": ("UPDATE ON cashback_audit_log", "the audit log is only ever added to"),
    "cashback_audit_log_kept": ("DELETE ON cashback_audit_log", "the audit log is only ever added to"),
    "cashback_payout_batches_fixed": (
        (
            "UPDATE ON cashback_payout_batches WHEN OLD.status IN ('completed', 'cancelled', 'expired')"
            " OR (OLD.status = 'completed_with_failures' AND NEW.status <> 'running')"
        ),
        "a finished batch is never changed",
    ),
    "cashback_payout_batches_move_as_declared": (
        (
            "UPDATE OF status ON cashback_payout_batches WHEN OLD.status <> NEW.status AND ("
            "(OLD.status = 'proposed' AND NEW.status NOT IN ('approved', 'cancelled', 'expired'))"
            " OR (OLD.status = 'approved' AND NEW.status NOT IN ('running', 'stopped'))"
            " OR (OLD.status = 'running' AND NEW.status NOT IN ('stopped', 'completed', 'completed_with_failures'))"
            " OR (OLD.status = 'stopped' AND NEW.status <> 'running'))"
        ),
        "a batch moves only as docs/explanation/architecture.md draws it",
    ),
    "cashback_payout_batches_plan_fixed": (
        (
            "UPDATE ON cashback_payout_batches WHEN NEW.proposed_by <> OLD.proposed_by"
            " OR NEW.first_approved_by IS DISTINCT FROM coalesce(OLD.first_approved_by, NEW.first_approved_by)"
            " OR (NEW.needs_second_approver IS DISTINCT FROM OLD.needs_second_approver AND OLD.planned_count <> 0)"
        ),
        "who asked for a batch, and whether a second admin must approve, is never changed",
    ),
    "cashback_payout_batches_kept": ("DELETE ON cashback_payout_batches", "batches are only ever added to"),
    "cashback_payouts_fixed": (
        "UPDATE ON cashback_payouts WHEN OLD.status IN ('credited', 'skipped')",
        "a settled payout is never changed",
    ),
    "cashback_payouts_kept": ("DELETE ON cashback_payouts", "payouts are only ever added to"),
    "cashback_payout_exclusions_fixed": (
        "UPDATE ON cashback_payout_exclusions",
        "who was left out is only ever added to",
    ),
    "cashback_payout_exclusions_kept": (
        "DELETE ON cashback_payout_exclusions",
        "who was left out is only ever added to",
    ),
    "cashback_referral_purchases_fixed": (
        (
            "UPDATE ON cashback_referral_purchases WHEN NEW.refunded_cents < OLD.refunded_cents"
            " OR (NEW.order_id, NEW.buyer_id, NEW.referral_id, NEW.amount_cents, NEW.rate_ppm, NEW.earned_cents,"
            " NEW.purchased_at, NEW.recorded_at, NEW.payable_at)"
            " IS DISTINCT FROM (OLD.order_id, OLD.buyer_id, OLD.referral_id, OLD.amount_cents, OLD.rate_ppm,"
            " OLD.earned_cents, OLD.purchased_at, OLD.recorded_at, OLD.payable_at)"
        ),
        "a purchase is never changed but by a refund",
    ),
    "cashback_referral_purchases_kept": ("DELETE ON cashback_referral_purchases", "purchases are only ever added to"),
    "cashback_referral_refunds_fixed": ("UPDATE ON cashback_referral_refunds", "refunds are only ever added to"),
    "cashback_referral_refunds_kept": ("DELETE ON cashback_referral_refunds", "refunds are only ever added to"),
    "cashback_payouts_retried_or_given_up": (
        "UPDATE ON cashback_payouts WHEN OLD.status = 'failed' AND NEW.status NOT IN ('planned', 'skipped')",
        "a failed payout is planned anew or given up, nothing else",
    ),
    "cashback_payout_attempts_fixed": (
        "UPDATE ON cashback_payout_attempts WHEN OLD.outcome IS NOT NULL",
        "an attempt that has ended is never changed",
    ),
    "cashback_payout_attempts_kept": ("DELETE ON cashback_payout_attempts", "attempts are only ever added to"),
    "cashback_payout_reversals_fixed": (
        "UPDATE ON cashback_payout_reversals",
        "what was taken back is only ever added to",
    ),
    "cashback_payout_reversals_kept": (
        "DELETE ON cashback_payout_reversals",
        "what was taken back is only ever added to",
    ),
    "cashback_reversals_fixed": (
        "UPDATE ON cashback_reversals WHEN OLD.status <> 'proposed'",
        "a decided reversal is never changed",
    ),
    "cashback_reversals_kept": ("DELETE ON cashback_reversals", "reversals are only ever added to"),
    "cashback_referrals_never_overpaid": (
        "UPDATE OF cashback_paid_cents ON referrals WHEN NEW.cashback_paid_cents > NEW.cashback_earned_cents",
        "more would be paid than was earned",
    ),
}


def create_guards(connection: Connection) -> None:
    """Create the triggers that are not there yet."""
    for name, (occasion, refusal) in _REFUSED.items():
        create_refusal(connection, name, occasion, refusal)
