"""Triggers that uphold what there is no constraint for: what is settled stays, and paid never passes earned."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from cashback.database.dialect import create_refusal, lift_refusal, missing_refusals

_OURS: Final = (
    "(OLD.transaction_type LIKE 'referral_cashback%' OR OLD.transaction_type IN"
    " ('cashback_withdrawal', 'cashback_withdrawal_returned', 'cashback_adjustment'))"
)

_NOT_UNDONE: Final = (
    "NOT EXISTS (SELECT 1 FROM cashback_intakes i WHERE i.number = OLD.intake_number AND i.undone_at IS NOT NULL)"
)
"""Only the rows of an import that was undone may go."""

_ITS_PURCHASE_NOT_UNDONE: Final = (
    "NOT EXISTS (SELECT 1 FROM cashback_intakes i JOIN cashback_referral_purchases p ON p.intake_number = i.number"
    " WHERE p.source = OLD.source AND p.order_id = OLD.order_id AND i.undone_at IS NOT NULL)"
)

_REFUSED: Final = {
    "cashback_wallet_transactions_fixed": (
        f"UPDATE ON wallet_transactions WHEN {_OURS}",
        "cashback transactions are only ever added to",
    ),
    "cashback_wallet_transactions_kept": (
        f"DELETE ON wallet_transactions WHEN {_OURS}",
        "cashback transactions are only ever added to",
    ),
    "cashback_audit_log_fixed": ("UPDATE ON cashback_audit_log", "the audit log is only ever added to"),
    "cashback_audit_log_kept": ("DELETE ON cashback_audit_log", "the audit log is only ever added to"),
    "cashback_payout_batches_fixed": (
        (
            "UPDATE ON cashback_payout_batches WHEN OLD.status IN ('completed', 'cancelled', 'expired', 'lapsed')"
            " OR (OLD.status = 'completed_with_failures' AND NEW.status <> 'running')"
        ),
        "a finished batch is never changed",
    ),
    "cashback_payout_batches_move_as_declared": (
        (
            "UPDATE OF status ON cashback_payout_batches WHEN OLD.status <> NEW.status AND ("
            "(OLD.status = 'proposed' AND NEW.status NOT IN ('approved', 'cancelled', 'expired'))"
            " OR (OLD.status = 'approved' AND NEW.status NOT IN ('running', 'stopped', 'lapsed'))"
            " OR (OLD.status = 'running'"
            " AND NEW.status NOT IN ('stopped', 'completed', 'completed_with_failures', 'lapsed'))"
            " OR (OLD.status = 'stopped' AND NEW.status NOT IN ('running', 'lapsed')))"
        ),
        "a batch moves only as docs/explanation/architecture.md draws it",
    ),
    "cashback_payout_batches_plan_fixed": (
        (
            "UPDATE ON cashback_payout_batches WHEN NEW.proposed_by <> OLD.proposed_by"
            " OR NEW.token IS DISTINCT FROM OLD.token"
            " OR NEW.lapses_at IS DISTINCT FROM coalesce(OLD.lapses_at, NEW.lapses_at)"
            " OR NEW.first_approved_by IS DISTINCT FROM coalesce(OLD.first_approved_by, NEW.first_approved_by)"
            " OR (NEW.needs_second_approver IS DISTINCT FROM OLD.needs_second_approver AND OLD.planned_count <> 0)"
        ),
        "who asked for a batch, and whether a second admin must approve, is never changed",
    ),
    "cashback_payout_batches_kept": ("DELETE ON cashback_payout_batches", "batches are only ever added to"),
    "cashback_payouts_fixed": (
        (
            "UPDATE ON cashback_payouts WHEN OLD.status IN ('credited', 'skipped')"
            " OR NEW.approved_cents <> OLD.approved_cents"
        ),
        "a settled payout is never changed, and what a payout may pay never is",
    ),
    "cashback_payouts_credited_by_a_run": (
        (
            "UPDATE OF status ON cashback_payouts WHEN NEW.status = 'credited' AND"
            " (SELECT b.status FROM cashback_payout_batches b WHERE b.number = NEW.batch_number)"
            " IS DISTINCT FROM 'running'"
        ),
        "only a batch that runs pays",
    ),
    "cashback_origin_fixed": (
        (
            "UPDATE ON cashback_origin WHEN OLD.currency IS NOT NULL OR (NEW.id, NEW.adopted, NEW.started_at)"
            " IS DISTINCT FROM (OLD.id, OLD.adopted, OLD.started_at)"
        ),
        "where a ledger comes from, and its currency, is never changed",
    ),
    "cashback_payout_shares_fixed": (
        (
            "UPDATE ON cashback_payout_shares WHEN (NEW.batch_number, NEW.referrer_id, NEW.referral_id,"
            " NEW.payable_cents, NEW.refunded_cents) IS DISTINCT FROM (OLD.batch_number, OLD.referrer_id,"
            " OLD.referral_id, OLD.payable_cents, OLD.refunded_cents)"
            " OR NEW.returned_cents < OLD.returned_cents OR (OLD.paid_cents > 0 AND NEW.paid_cents <> OLD.paid_cents)"
        ),
        "what was shown of a payout, paid and given back is never changed",
    ),
    "cashback_payout_shares_taken_once": (
        (
            "UPDATE OF charged_cents, forfeited_cents ON cashback_payout_shares WHEN NEW.charged_cents < 0"
            " OR NEW.charged_cents > NEW.paid_cents - NEW.returned_cents"
            " OR NEW.forfeited_cents < 0 OR NEW.forfeited_cents > NEW.returned_cents"
        ),
        "more would be taken than was paid",
    ),
    "cashback_payout_shares_kept": ("DELETE ON cashback_payout_shares", "shares of payouts are only ever added to"),
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
            " OR (NEW.source, NEW.order_id, NEW.intake_number, NEW.buyer_id, NEW.amount_cents, NEW.purchased_at,"
            " NEW.recorded_at, NEW.payable_at, NEW.correction_number) IS DISTINCT FROM (OLD.source, OLD.order_id,"
            " OLD.intake_number, OLD.buyer_id, OLD.amount_cents, OLD.purchased_at, OLD.recorded_at, OLD.payable_at,"
            " OLD.correction_number)"
            " OR ((NEW.referral_id, NEW.rate_ppm, NEW.earned_cents)"
            " IS DISTINCT FROM (OLD.referral_id, OLD.rate_ppm, OLD.earned_cents)"
            " AND (OLD.referral_id IS NOT NULL OR NEW.referral_id IS NULL OR NEW.rate_ppm > OLD.rate_ppm))"
        ),
        "a purchase is never changed but by a refund, and by the referral that it waited for",
    ),
    "cashback_referral_purchases_kept": (
        f"DELETE ON cashback_referral_purchases WHEN {_NOT_UNDONE}",
        "purchases are only ever added to",
    ),
    "cashback_referral_refunds_fixed": ("UPDATE ON cashback_referral_refunds", "refunds are only ever added to"),
    "cashback_referral_refunds_kept": (
        f"DELETE ON cashback_referral_refunds WHEN {_NOT_UNDONE} AND {_ITS_PURCHASE_NOT_UNDONE}",
        "refunds are only ever added to",
    ),
    "cashback_unmatched_purchases_fixed": (
        (
            "UPDATE ON cashback_unmatched_purchases WHEN OLD.buyer_id IS NOT NULL OR (NEW.source, NEW.order_id,"
            " NEW.amount_cents, NEW.rate_ppm, NEW.purchased_at, NEW.recorded_at, NEW.intake_number) IS DISTINCT FROM"
            " (OLD.source, OLD.order_id, OLD.amount_cents, OLD.rate_ppm, OLD.purchased_at, OLD.recorded_at,"
            " OLD.intake_number)"
        ),
        "a purchase that waits for its member is settled once and never changed",
    ),
    "cashback_unmatched_purchases_kept": (
        f"DELETE ON cashback_unmatched_purchases WHEN {_NOT_UNDONE}",
        "purchases are only ever added to",
    ),
    "cashback_kept_refunds_fixed": (
        (
            "UPDATE ON cashback_kept_refunds WHEN OLD.applied_at IS NOT NULL OR (NEW.number, NEW.source, NEW.order_id,"
            " NEW.refund_id, NEW.kind, NEW.amount_cents, NEW.reason, NEW.kept_by, NEW.kept_at, NEW.intake_number)"
            " IS DISTINCT FROM (OLD.number, OLD.source, OLD.order_id, OLD.refund_id, OLD.kind, OLD.amount_cents,"
            " OLD.reason, OLD.kept_by, OLD.kept_at, OLD.intake_number)"
        ),
        "a kept refund is applied once and never changed",
    ),
    "cashback_kept_refunds_kept": (
        f"DELETE ON cashback_kept_refunds WHEN {_NOT_UNDONE}",
        "kept refunds are only ever added to",
    ),
    "cashback_order_corrections_fixed": ("UPDATE ON cashback_order_corrections", "corrections are only ever added to"),
    "cashback_order_corrections_kept": ("DELETE ON cashback_order_corrections", "corrections are only ever added to"),
    "cashback_intakes_fixed": (
        (
            "UPDATE ON cashback_intakes WHEN (NEW.number, NEW.source, NEW.kind, NEW.at, NEW.actor) IS DISTINCT FROM"
            " (OLD.number, OLD.source, OLD.kind, OLD.at, OLD.actor) OR OLD.undone_at IS NOT NULL"
            " OR (OLD.rows > 0 AND (NEW.rows, NEW.cents, NEW.digest) IS DISTINCT FROM"
            " (OLD.rows, OLD.cents, OLD.digest))"
        ),
        "an import or delivery is never changed, and undone once",
    ),
    "cashback_intakes_kept": (
        "DELETE ON cashback_intakes WHEN OLD.rows > 0",
        "imports and deliveries are only ever added to",
    ),
    "cashback_refund_facts_fixed": ("UPDATE ON cashback_refund_facts", "refunds are only ever added to"),
    "cashback_refund_facts_kept": ("DELETE ON cashback_refund_facts", "refunds are only ever added to"),
    "cashback_shop_deliveries_fixed": (
        (
            "UPDATE ON cashback_shop_deliveries WHEN NEW.events IS NOT NULL OR (NEW.number, NEW.shop, NEW.kind, NEW.at,"
            " NEW.digest, NEW.event_id, NEW.topic, NEW.outcome, NEW.reason, NEW.intake_number) IS DISTINCT FROM"
            " (OLD.number, OLD.shop, OLD.kind, OLD.at, OLD.digest, OLD.event_id, OLD.topic, OLD.outcome, OLD.reason,"
            " OLD.intake_number)"
        ),
        "a delivery is never changed; after 30 days what was read of it is erased",
    ),
    "cashback_shop_deliveries_kept": ("DELETE ON cashback_shop_deliveries", "deliveries are only ever added to"),
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
    "cashback_withdrawals_fixed": (
        (
            "UPDATE ON cashback_withdrawals WHEN (NEW.number, NEW.user_id, NEW.method, NEW.requested_at, NEW.debit_id)"
            " IS DISTINCT FROM (OLD.number, OLD.user_id, OLD.method, OLD.requested_at, OLD.debit_id)"
            # What is open may be added to, until an admin has begun with it.
            " OR NEW.amount_cents < OLD.amount_cents OR (NEW.amount_cents > OLD.amount_cents"
            " AND (NEW.status <> 'requested' OR OLD.first_approved_by IS NOT NULL OR OLD.exported_at IS NOT NULL))"
            " OR NEW.needs_second_approver IS DISTINCT FROM coalesce(OLD.needs_second_approver,"
            " CASE WHEN NEW.amount_cents > OLD.amount_cents THEN NEW.needs_second_approver END)"
            " OR NEW.first_approved_by IS DISTINCT FROM coalesce(OLD.first_approved_by, NEW.first_approved_by)"
            " OR (NEW.destination IS DISTINCT FROM OLD.destination"
            " AND (NEW.destination IS NOT NULL OR OLD.status = 'requested'))"
        ),
        "what was asked for is never changed",
    ),
    "cashback_withdrawals_decided": (
        (
            "UPDATE ON cashback_withdrawals WHEN OLD.status <> 'requested' AND (NEW.status, NEW.decided_by,"
            " NEW.decider_id, NEW.decided_at, NEW.reference, NEW.reason, NEW.return_id, NEW.first_approved_by)"
            " IS DISTINCT FROM (OLD.status, OLD.decided_by, OLD.decider_id, OLD.decided_at, OLD.reference, OLD.reason,"
            " OLD.return_id, OLD.first_approved_by)"
        ),
        "a decided withdrawal is never changed",
    ),
    "cashback_withdrawals_kept": ("DELETE ON cashback_withdrawals", "withdrawals are only ever added to"),
    "cashback_withdrawal_additions_fixed": (
        "UPDATE ON cashback_withdrawal_additions",
        "additions to withdrawals are only ever added to",
    ),
    "cashback_withdrawal_additions_kept": (
        "DELETE ON cashback_withdrawal_additions",
        "additions to withdrawals are only ever added to",
    ),
    "cashback_wallet_adjustments_fixed": (
        "UPDATE ON cashback_wallet_adjustments",
        "adjustments are only ever added to",
    ),
    "cashback_wallet_adjustments_kept": (
        "DELETE ON cashback_wallet_adjustments",
        "adjustments are only ever added to",
    ),
    "cashback_referrals_never_overpaid": (
        (
            "UPDATE OF cashback_paid_cents ON referrals WHEN NEW.cashback_paid_cents > NEW.cashback_earned_cents"
            " AND NEW.cashback_paid_cents > OLD.cashback_paid_cents"
        ),
        "more would be paid than was earned",
    ),
    "cashback_referrals_never_below_zero": (
        (
            "UPDATE ON referrals WHEN NEW.cashback_paid_elsewhere_cents < 0 OR NEW.cashback_forfeited_cents < 0"
            " OR NEW.cashback_charged_cents < 0 OR NEW.cashback_refunded_cents < OLD.cashback_refunded_cents"
        ),
        "what was paid elsewhere, given back or refunded is never below zero",
    ),
}


_KEYS: Final = {
    "cashback_payout_batches": ("number",),
    "cashback_payouts": ("batch_number", "referrer_id"),
    "cashback_payout_shares": ("batch_number", "referrer_id", "referral_id"),
    "cashback_payout_exclusions": ("batch_number", "referrer_id"),
    "cashback_payout_attempts": ("batch_number", "referrer_id", "attempt"),
    "cashback_payout_reversals": ("batch_number", "referrer_id"),
    "cashback_reversals": ("number",),
    "cashback_referral_purchases": ("source", "order_id"),
    "cashback_referral_refunds": ("source", "refund_id"),
    "cashback_withdrawals": ("number",),
    "cashback_withdrawal_additions": ("debit_id",),
    "cashback_wallet_adjustments": ("transaction_id",),
    "cashback_unmatched_purchases": ("source", "order_id"),
    "cashback_kept_refunds": ("number",),
    "cashback_order_corrections": ("number",),
    "cashback_intakes": ("number",),
    "cashback_refund_facts": ("source", "order_id", "kind", "refund_id"),
    "cashback_shop_deliveries": ("number",),
    "cashback_audit_log": ("id",),
}
"""Tables of ours whose rows are never replaced. SQLite's INSERT OR REPLACE asks no trigger about what it deletes."""


def _all(connection: Connection) -> dict[str, tuple[str, str]]:
    """Return the guards of a database: names, occasions and refusals."""
    if connection.dialect.name != "sqlite":
        return _REFUSED
    replaced = {}
    for table, key in _KEYS.items():
        same = " AND ".join(f"o.{column} = NEW.{column}" for column in key)
        occasion = f"INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} o WHERE {same})"  # noqa: S608 -- our own names
        replaced[f"{table}_not_replaced"] = (occasion, "UNIQUE constraint failed: a row with this key is there")
    return _REFUSED | replaced


def missing_guards(connection: Connection) -> Iterator[str]:
    """Name each guard that is not there, or not as this program makes it."""
    for name in missing_refusals(connection, _all(connection)):
        yield f"the guard {name} is missing or was changed"


def lift_guards(connection: Connection) -> None:
    """Drop the triggers of this and of earlier versions, for a migration. `create_guards` puts them back."""
    for name, (occasion, _) in _all(connection).items():
        lift_refusal(connection, name, occasion)


def create_guards(connection: Connection) -> None:
    """Create the triggers that are not there yet."""
    for name, (occasion, refusal) in _all(connection).items():
        create_refusal(connection, name, occasion, refusal)
