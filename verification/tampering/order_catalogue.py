"""Edits of orders: those that wait for a member, refunds that are kept, corrections, and imports."""

# ruff: noqa: E501 -- statements are read whole

from typing import Final

ORDER_EDITS: Final[dict[str, str]] = {
    "an import's cents": "UPDATE cashback_intakes SET cents = cents + 1",
    "an import's digest": "UPDATE cashback_intakes SET digest = 'another'",
    "an import removed": "DELETE FROM cashback_intakes",
    "an import marked as undone": "UPDATE cashback_intakes SET undone_at = '2026-07-03 15:00:00.000000'",
    "an import undone by hand": (
        "UPDATE cashback_intakes SET undone_at = '2026-07-03 15:00:00.000000';"
        "DELETE FROM cashback_unmatched_purchases WHERE order_id = 'g-2'"
    ),
    "an import forged": (
        "INSERT INTO cashback_intakes (source, kind, at, actor, rows, cents)"
        " VALUES ('main', 'import', '2026-07-03 15:00:00.000000', 'cli', 1, 500)"
    ),
    "a waiting order's amount": "UPDATE cashback_unmatched_purchases SET amount_cents = 999999 WHERE order_id = 'g-2'",
    "a waiting order removed": "DELETE FROM cashback_unmatched_purchases WHERE order_id = 'g-2'",
    "a waiting order settled by hand": (
        "UPDATE cashback_unmatched_purchases SET buyer_id = 104, settled_at = recorded_at WHERE order_id = 'g-2'"
    ),
    "an assigned order that waits again": (
        "UPDATE cashback_unmatched_purchases SET buyer_id = NULL, settled_at = NULL WHERE order_id = 'g-1'"
    ),
    "an assigned order's member": "UPDATE cashback_unmatched_purchases SET buyer_id = 105 WHERE order_id = 'g-1'",
    "a waiting order added to an import": (
        "INSERT INTO cashback_unmatched_purchases (source, order_id, amount_cents, rate_ppm, purchased_at, recorded_at,"
        " waits_until, intake_number) SELECT source, 'g-3', 5, rate_ppm, purchased_at, recorded_at, waits_until,"
        " intake_number FROM cashback_unmatched_purchases WHERE order_id = 'g-2'"
    ),
    "a kept refund applied by hand": "UPDATE cashback_kept_refunds SET applied_at = kept_at WHERE order_id = 'k-1'",
    "a correction removed": "DELETE FROM cashback_order_corrections WHERE kind = 'reassigned'",
    "a correction's buyer": "UPDATE cashback_order_corrections SET buyer_id = 105 WHERE kind = 'reassigned'",
    "a correction's reason": "UPDATE cashback_order_corrections SET reason = 'another' WHERE kind = 'reassigned'",
    "a correction forged": (
        "INSERT INTO cashback_order_corrections (source, order_id, kind, buyer_id, amount_cents, made_by, made_at)"
        " VALUES ('main', 'a-1', 'amount', 101, 9999, 'cli', '2026-07-03 15:00:00.000000')"
    ),
    "what a won dispute gave back": "UPDATE cashback_order_corrections SET amount_cents = 401 WHERE kind = 'given_back'",
    "a won dispute forged": (
        "INSERT INTO cashback_order_corrections (source, order_id, kind, buyer_id, amount_cents, refund_id, made_by,"
        " made_at) VALUES ('main', 'a-3', 'given_back', 103, 50, 'a-3/0', 'cli', '2026-07-03 15:00:00.000000')"
    ),
    "a correction's purchase detached": (
        "UPDATE cashback_referral_purchases SET correction_number = NULL WHERE correction_number IS NOT NULL"
    ),
    "a purchase attached to a correction": (
        "UPDATE cashback_referral_purchases SET correction_number = 77 WHERE order_id = 'a-1'"
    ),
    "a purchase moved to another import": (
        "UPDATE cashback_referral_purchases SET intake_number = 77 WHERE order_id = 'a-1'"
    ),
}
"""By what is edited: statements that both databases take."""
