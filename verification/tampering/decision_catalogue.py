"""Edits of who decided, when, and who may earn; `catalogue.py` has the others.

The story's batch 1 was approved by member 7, 2 cancelled, 3 approved by two; reversal 1 is of batch 1. The referral of
member 3 was unlinked; the orders c-1 to c-6 are held for thirty days; withdrawal 4 was in a list for a bank.
"""

from typing import Final

_EARLIER: Final = "'2026-07-02 15:00:00.000000'"
_BATCH: Final = "UPDATE cashback_payout_batches SET {} WHERE number = {}"
_REVERSAL: Final = "UPDATE cashback_reversals SET {} WHERE number = 1"
_MOVED: Final = "UPDATE wallet_transactions SET created_at = {} WHERE transaction_type = '{}'"
_REFERRAL: Final = "UPDATE referrals SET {} WHERE referrer_user_id = {}"
_ORDER: Final = "UPDATE cashback_referral_purchases SET {} WHERE order_id = '{}'"
_LIST: Final = "UPDATE cashback_withdrawals SET exported_at = {} WHERE number = {}"

DECISION_EDITS: Final[dict[str, str]] = {
    "the id of who approved a batch": _BATCH.format("approver_id = 9", 1),
    "the id of the second who approved a batch": _BATCH.format("approver_id = 9", 3),
    "the id of who approved a reversal": _REVERSAL.format("approver_id = 9"),
    "a reversal's batch": _REVERSAL.format("batch_number = 3"),
    "a cancelled batch's total": _BATCH.format("credited_count = 1, credited_cents = 100", 2),
    "when a payout was settled, erased": (
        "UPDATE cashback_payouts SET settled_at = NULL WHERE batch_number = 1 AND referrer_id = 1"
    ),
    "when a payout's transaction was made, erased": _MOVED.format("NULL", "referral_cashback"),
    "when a reversal's transaction was made": _MOVED.format(_EARLIER, "referral_cashback_reversal"),
    "when a withdrawal's transaction was made": _MOVED.format(_EARLIER, "cashback_withdrawal"),
    "when a withdrawal was returned, erased": _MOVED.format("NULL", "cashback_withdrawal_returned"),
    "when an adjustment's transaction was made": _MOVED.format(_EARLIER, "cashback_adjustment"),
    "a referral's own flag": _REFERRAL.format("is_blacklisted = 1", 1),
    "the flag of a blacklisted member's referral taken off": _REFERRAL.format("is_blacklisted = 0", 5),
    "an unlink undone": _REFERRAL.format("cashback_unlinked_at = NULL", 3),
    "an unlink forged": _REFERRAL.format(f"cashback_unlinked_at = {_EARLIER}", 1),
    "when members were unlinked": _REFERRAL.format(f"cashback_unlinked_at = {_EARLIER}", 3),
    "an order's holding period ended": _ORDER.format(f"payable_at = {_EARLIER}", "c-1"),
    "an order's holding period erased": _ORDER.format("payable_at = NULL", "c-1"),
    "an order's holding period erased, with its referral's": (
        _ORDER.format("payable_at = NULL", "c-1") + f"; {_REFERRAL.format(f'cashback_held_until = {_EARLIER}', 1)}"
    ),
    "a purchase moved to another shop's delivery": _ORDER.format("intake_number = 1", "a-1"),
    "the need of a second admin for a raised withdrawal": (
        "UPDATE cashback_withdrawals SET needs_second_approver = 'a reason' WHERE number = 5"
    ),
    "a request taken off a bank's list": _LIST.format("NULL", 4),
    "a request put on a bank's list": _LIST.format(_EARLIER, 5),
}
"""By what is edited: statements that both databases take."""
