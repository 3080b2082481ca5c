"""The catalogue: edits by plain SQL, each of which a constraint or a guard refuses, or `cashback verify` finds.

An editor may drop the guards, edit, and put them back word for word: then verify alone must find it. Edits that nothing
finds are listed with the reason, and are in the threat model.
"""

# ruff: noqa: E501 -- statements are read whole

from typing import Final

from verification.tampering.decision_catalogue import DECISION_EDITS
from verification.tampering.delivery_catalogue import DELIVERY_EDITS
from verification.tampering.event_catalogue import EVENT_EDITS, EVENTS_NOT_FOUND
from verification.tampering.order_catalogue import ORDER_EDITS
from verification.tampering.wallet_catalogue import WALLET_EDITS

EDITS: Final[dict[str, str]] = {
    "a balance": "UPDATE users SET wallet_balance_cents = wallet_balance_cents + 1 WHERE discord_id = 2",
    "two balances with one sum": (
        "UPDATE users SET wallet_balance_cents = wallet_balance_cents + CASE discord_id WHEN 2 THEN 1 ELSE -1 END"
        " WHERE discord_id IN (2, 3)"
    ),
    "a payout's amount": "UPDATE cashback_payouts SET paid_cents = paid_cents - 1 WHERE referrer_id = 2",
    "what was approved": "UPDATE cashback_payouts SET approved_cents = approved_cents + 1 WHERE referrer_id = 2",
    "a payout's state": "UPDATE cashback_payouts SET status = 'skipped', paid_cents = 0 WHERE referrer_id = 2",
    "a payout removed": "DELETE FROM cashback_payouts WHERE referrer_id = 2",
    "a payout added": (
        "INSERT INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count, status)"
        " VALUES (1, 900000, 5, 1, 'skipped')"
    ),
    "a transaction's amount": "UPDATE wallet_transactions SET amount_cents = 1 WHERE user_discord_id = 2",
    "a transaction's type": "UPDATE wallet_transactions SET transaction_type = 'gift' WHERE user_discord_id = 2",
    "a transaction's batch": (
        "UPDATE wallet_transactions SET cashback_payout_batch_number = NULL WHERE user_discord_id = 2"
    ),
    "a transaction's balance": (
        "UPDATE wallet_transactions SET balance_after_cents = balance_after_cents + 1 WHERE user_discord_id = 2"
    ),
    "a transaction removed": "DELETE FROM wallet_transactions WHERE user_discord_id = 2",
    "a transaction removed with its cents": (
        "DELETE FROM wallet_transactions WHERE user_discord_id = 2;"
        "UPDATE users SET wallet_balance_cents = 0 WHERE discord_id = 2"
    ),
    "a transaction added": (
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
        " VALUES (2, 5, 205, 'referral_cashback')"
    ),
    "a transaction added with its cents": (
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
        " VALUES (2, 5, 205, 'referral_cashback');"
        "UPDATE users SET wallet_balance_cents = 205 WHERE discord_id = 2"
    ),
    "a batch's transaction added with its cents": (
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
        " cashback_payout_batch_number) VALUES (900000, 5, 5, 'referral_cashback', 1);"
        "UPDATE users SET wallet_balance_cents = 5 WHERE discord_id = 900000"
    ),
    "two payouts against each other, with all that hangs on them": (
        "UPDATE cashback_payouts SET paid_cents = 500 - paid_cents, approved_cents = 500 - approved_cents"
        " WHERE referrer_id IN (2, 3);"
        "UPDATE wallet_transactions SET amount_cents = 500 - amount_cents, balance_after_cents = 500 - amount_cents"
        " WHERE user_discord_id IN (2, 3);"
        "UPDATE users SET wallet_balance_cents = 500 - wallet_balance_cents WHERE discord_id IN (2, 3);"
        "UPDATE referrals SET cashback_earned_cents = 500 - cashback_earned_cents,"
        " cashback_paid_cents = 500 - cashback_paid_cents,"
        " referred_total_spend_cents = 500 - referred_total_spend_cents"
        " WHERE referrer_user_id IN (2, 3);"
        "UPDATE cashback_referral_purchases SET amount_cents = 500 - amount_cents, earned_cents = 500 - earned_cents"
        " WHERE amount_cents > 100"
    ),
    "a balance given to a member without transactions": (
        "UPDATE users SET wallet_balance_cents = 100 WHERE discord_id = 101"
    ),
    "a forged referral with earnings": (
        "INSERT INTO referrals (referrer_user_id, referred_user_id, cashback_earned_cents) VALUES (4, 1, 500)"
    ),
    "a purchase of a referral that is not there": (
        "INSERT INTO cashback_referral_purchases (order_id, buyer_id, referral_id, amount_cents, rate_ppm, earned_cents,"
        " purchased_at, recorded_at) VALUES ('x', 101, 999, 900, 0, 0, '2026-07-03 15:00:00.000000',"
        " '2026-07-03 15:00:00.000000')"
    ),
    "a wallet removed": "DELETE FROM users WHERE discord_id = 2",
    "a referral removed": "DELETE FROM referrals WHERE referrer_user_id = 2",
    "earnings raised": "UPDATE referrals SET cashback_earned_cents = cashback_earned_cents + 1 WHERE id = 2",
    "earnings below a cent": "UPDATE referrals SET cashback_carry_ppm = 1 WHERE id = 2",
    "what a buyer spent": "UPDATE referrals SET referred_total_spend_cents = 1 WHERE id = 2",
    "a purchase raised": (
        "UPDATE cashback_referral_purchases SET amount_cents = amount_cents + 1 WHERE amount_cents = 200"
    ),
    "a purchase's rate": "UPDATE cashback_referral_purchases SET rate_ppm = rate_ppm - 1 WHERE amount_cents = 200",
    "a purchase removed": "DELETE FROM cashback_referral_purchases WHERE amount_cents = 200",
    "who approved": "UPDATE cashback_payout_batches SET approved_by = 'somebody'",
    "a batch that nobody approved": (
        "INSERT INTO cashback_payout_batches (mode, status, batch_id, proposed_by, approved_by, proposed_at)"
        " VALUES ('batch', 'running', 'BATCH-1', 'cli', 'cli', '2026-07-03 15:00:00.000000')"
    ),
    "paid marks taken back": "UPDATE referrals SET cashback_paid_cents = 0 WHERE referrer_user_id = 2",
    "paid marks added": (
        "UPDATE referrals SET cashback_earned_cents = cashback_earned_cents + 5,"
        " cashback_paid_cents = cashback_paid_cents + 5 WHERE referrer_user_id = 2"
    ),
    "more paid than earned": (
        "UPDATE referrals SET cashback_earned_cents = cashback_paid_cents - 1 WHERE referrer_user_id = 2"
    ),
    "a batch's total": "UPDATE cashback_payout_batches SET credited_cents = credited_cents + 1",
    "a batch's count": "UPDATE cashback_payout_batches SET credited_count = 2, skipped_count = 1",
    "a batch's plan": "UPDATE cashback_payout_batches SET planned_cents = planned_cents + 1",
    "a direct message removed": "DELETE FROM cashback_notifications WHERE user_id = 2",
    "an audit entry changed": "UPDATE cashback_audit_log SET actor = 'somebody' WHERE id = 2",
    "an audit entry's moment": "UPDATE cashback_audit_log SET at = '2026-07-03 15:00:01.000000' WHERE id = 2",
    "an audit entry's details": "UPDATE cashback_audit_log SET details = '{}' WHERE id = 3",
    "an audit entry's details, to what is no JSON": "UPDATE cashback_audit_log SET details = 'x' WHERE id = 3",
    "the first audit entry removed": "DELETE FROM cashback_audit_log WHERE id = 1",
    "an audit entry removed": "DELETE FROM cashback_audit_log WHERE id = 2",
    "the newest audit entry removed": "DELETE FROM cashback_audit_log WHERE id = 3",
    "all audit entries removed": "DELETE FROM cashback_audit_log",
    "an audit entry added": (
        "INSERT INTO cashback_audit_log (id, at, actor, action, details, digest)"
        " SELECT 4, at, actor, action, details, digest FROM cashback_audit_log WHERE id = 3"
    ),
    "an audit entry inserted between": (
        "UPDATE cashback_audit_log SET id = 4 WHERE id = 3;"
        "INSERT INTO cashback_audit_log (id, at, actor, action, details, digest)"
        " SELECT 3, at, actor, action, details, digest FROM cashback_audit_log WHERE id = 2"
    ),
    # What a batch may pay, and who said so.
    "paid elsewhere made negative, and paid reset": (
        "UPDATE referrals SET cashback_paid_elsewhere_cents = -100, cashback_paid_cents = 0 WHERE referrer_user_id = 1"
    ),
    "paid elsewhere raised, to hide a payout": (
        "UPDATE referrals SET cashback_paid_elsewhere_cents = cashback_paid_elsewhere_cents + 100,"
        " cashback_paid_cents = cashback_paid_cents + 100, cashback_earned_cents = cashback_earned_cents + 100"
        " WHERE referrer_user_id = 1"
    ),
    "paid elsewhere taken away": (
        "UPDATE referrals SET cashback_paid_elsewhere_cents = 0, cashback_paid_cents = cashback_paid_cents - 100"
        " WHERE referrer_user_id = 6"
    ),
    "a cancelled batch's payout made credited": (
        "UPDATE cashback_payouts SET status = 'credited', paid_cents = approved_cents WHERE batch_number = 2"
        " AND referrer_id = 1"
    ),
    "a cancelled batch's payout credited, with all that hangs on it": (
        "UPDATE cashback_payouts SET status = 'credited', paid_cents = approved_cents,"
        " settled_at = '2026-07-03 15:00:00.000000' WHERE batch_number = 2 AND referrer_id = 1;"
        "UPDATE cashback_payout_shares SET paid_cents = 100 WHERE batch_number = 2 AND referrer_id = 1;"
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
        " created_at, cashback_payout_batch_number) VALUES (1, 100, 200, 'referral_cashback',"
        " '2026-07-03 15:00:00.000000', 2);"
        "UPDATE users SET wallet_balance_cents = 200 WHERE discord_id = 1;"
        "UPDATE referrals SET cashback_paid_cents = cashback_paid_cents + 100 WHERE referrer_user_id = 1;"
        "INSERT INTO cashback_notifications (batch_number, user_id) VALUES (2, 1)"
    ),
    "a proposed batch's payout made credited": (
        "UPDATE cashback_payouts SET status = 'credited', paid_cents = approved_cents WHERE batch_number = 4"
    ),
    "an open batch set running": (
        "UPDATE cashback_payout_batches SET status = 'running', batch_id = 'BATCH-X', approved_by = 'cli' WHERE number = 4"
    ),
    "an open batch approved": (
        "UPDATE cashback_payout_batches SET status = 'approved', batch_id = 'BATCH-X', approved_by = 'cli' WHERE number = 4"
    ),
    "an open batch cancelled": "UPDATE cashback_payout_batches SET status = 'cancelled' WHERE number = 4",
    "a cancelled batch proposed again": "UPDATE cashback_payout_batches SET status = 'proposed' WHERE number = 2",
    "a finished batch set running": "UPDATE cashback_payout_batches SET status = 'running' WHERE number = 1",
    "the second approver erased": (
        "UPDATE cashback_payout_batches SET needs_second_approver = NULL, first_approved_by = NULL,"
        " first_approved_at = NULL WHERE number = 3"
    ),
    "the first approver replaced": "UPDATE cashback_payout_batches SET first_approved_by = 'discord:9' WHERE number = 3",
    "the need of a second approver erased": (
        "UPDATE cashback_payout_batches SET needs_second_approver = NULL WHERE number = 3"
    ),
    "who proposed": "UPDATE cashback_payout_batches SET proposed_by = 'discord:9' WHERE number = 1",
    "when it was proposed": (
        "UPDATE cashback_payout_batches SET proposed_at = '2026-07-02 15:00:00.000000' WHERE number = 1"
    ),
    "when it was approved": (
        "UPDATE cashback_payout_batches SET approved_at = '2026-07-02 15:00:00.000000' WHERE number = 1"
    ),
    "when an approval lapses": (
        "UPDATE cashback_payout_batches SET lapses_at = '2099-07-02 15:00:00.000000' WHERE number = 1"
    ),
    "a proposal's token": "UPDATE cashback_payout_batches SET token = '0123456789abcdef' WHERE number = 4",
    "when a payout was settled": (
        "UPDATE cashback_payouts SET settled_at = '2026-07-02 15:00:00.000000' WHERE batch_number = 1 AND referrer_id = 1"
    ),
    "when a transaction was made": (
        "UPDATE wallet_transactions SET created_at = '2026-07-02 15:00:00.000000' WHERE user_discord_id = 1"
    ),
    "an open plan's payout raised": "UPDATE cashback_payouts SET approved_cents = 100000 WHERE batch_number = 4",
    "a payout added to an open plan": (
        "INSERT INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count) VALUES (4, 5, 100, 1)"
    ),
    "an open plan's share raised": "UPDATE cashback_payout_shares SET payable_cents = 100000 WHERE batch_number = 4",
    "a batch removed": "DELETE FROM cashback_payout_batches WHERE number = 2",
    "a batch and its payouts removed": (
        "DELETE FROM cashback_payout_shares WHERE batch_number = 2; DELETE FROM cashback_payouts WHERE batch_number = 2;"
        "DELETE FROM cashback_payout_exclusions WHERE batch_number = 2;"
        "DELETE FROM cashback_payout_batches WHERE number = 2"
    ),
    # Shares and reversals.
    "a share's amount": "UPDATE cashback_payout_shares SET paid_cents = paid_cents - 1 WHERE batch_number = 1",
    "a share removed": "DELETE FROM cashback_payout_shares WHERE batch_number = 1 AND referrer_id = 1",
    "what a reversal took back of a share": (
        "UPDATE cashback_payout_shares SET returned_cents = 0 WHERE batch_number = 1 AND referrer_id = 2"
    ),
    "a reversal removed": ("DELETE FROM cashback_payout_reversals; DELETE FROM cashback_reversals"),
    "a reversal's amount": (
        "UPDATE cashback_payout_reversals SET amount_cents = 0, shortfall_cents = 200, transaction_id = NULL"
    ),
    "a reversal's total": "UPDATE cashback_reversals SET reversed_cents = 100, shortfall_cents = 100",
    "a forged reversal": (
        "INSERT INTO cashback_reversals (batch_number, referrer_id, reason, status, proposed_by, proposed_at, expires_at,"
        " approved_by, finished_at, planned_count, planned_cents, reversed_cents, shortfall_cents) VALUES (1, 1, 'x',"
        " 'done', 'cli', '2026-07-03 15:00:00.000000', '2026-07-03 16:00:00.000000', 'cli',"
        " '2026-07-03 15:00:00.000000', 1, 100, 100, 0);"
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
        " created_at) VALUES (1, -100, 0, 'referral_cashback_reversal', '2026-07-03 15:00:00.000000');"
        "UPDATE users SET wallet_balance_cents = 0 WHERE discord_id = 1;"
        "INSERT INTO cashback_payout_reversals (batch_number, referrer_id, reversal_number, amount_cents,"
        " shortfall_cents, transaction_id) SELECT 1, 1, 2, 100, 0, max(id) FROM wallet_transactions;"
        "UPDATE cashback_payout_shares SET returned_cents = 100 WHERE batch_number = 1 AND referrer_id = 1;"
        "UPDATE referrals SET cashback_forfeited_cents = 100 WHERE referrer_user_id = 1"
    ),
    "why it was reversed": "UPDATE cashback_reversals SET reason = 'another'",
    "who reversed": "UPDATE cashback_reversals SET approved_by = 'discord:9'",
    "what was forfeited, taken off": "UPDATE referrals SET cashback_forfeited_cents = 0 WHERE referrer_user_id = 2",
    # Who earns.
    "a referral re-pointed": "UPDATE referrals SET referrer_user_id = 4 WHERE referrer_user_id = 1",
    "a referral's member replaced": "UPDATE referrals SET referred_user_id = 999 WHERE referrer_user_id = 1",
    "a member taken off the blacklist": "DELETE FROM cashback_referral_blacklist",
    "a member put on the blacklist": (
        "INSERT INTO cashback_referral_blacklist (user_id, reason, blacklisted_by, blacklisted_at)"
        " VALUES (4, NULL, 'cli', '2026-07-03 15:00:00.000000')"
    ),
    "why a member is blacklisted": "UPDATE cashback_referral_blacklist SET reason = 'another'",
    "a refund removed": (
        "DELETE FROM cashback_referral_refunds;"
        "UPDATE cashback_referral_purchases SET refunded_cents = 0 WHERE order_id = 'a-3'"
    ),
    "a refund's amount": "UPDATE cashback_referral_refunds SET amount_cents = 60",
    "a refund forged": (
        "INSERT INTO cashback_referral_refunds (refund_id, order_id, referral_id, amount_cents, taken_cents, refunded_by,"
        " refunded_at) VALUES ('x', 'a-1', 1, 100, 100, 'cli', '2026-07-03 15:00:00.000000')"
    ),
    "a purchase forged": (
        "INSERT INTO cashback_referral_purchases (order_id, buyer_id, referral_id, amount_cents, rate_ppm, earned_cents,"
        " purchased_at, recorded_at) VALUES ('x', 101, 1, 900, 1000000, 900, '2026-07-03 15:00:00.000000',"
        " '2026-07-03 15:00:00.000000')"
    ),
    "a holding period erased": "UPDATE referrals SET cashback_held_until = NULL WHERE referrer_user_id = 1",
    # Where the ledger comes from, and what kinds of values it holds.
    "the ledger marked as adopted": "UPDATE cashback_origin SET adopted = 1",
    "a deposit": (
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
        " VALUES (3, 500, 800, 'deposit'); UPDATE users SET wallet_balance_cents = wallet_balance_cents + 500"
        " WHERE discord_id = 3"
    ),
    "the log's tail cut off": "DELETE FROM cashback_audit_log WHERE id > 12",
    "an exclusion removed": "DELETE FROM cashback_payout_exclusions",
    **DECISION_EDITS,
    **WALLET_EDITS,
    **DELIVERY_EDITS,
    **ORDER_EDITS,
    **EVENT_EDITS,
}
"""By what is edited: statements that both databases take."""

IN_A_FILE: Final[dict[str, str]] = {
    "an amount made a fraction": "UPDATE referrals SET cashback_earned_cents = 100.5 WHERE referrer_user_id = 1",
    "a balance made a fraction": "UPDATE users SET wallet_balance_cents = 100.25 WHERE discord_id = 1",
    "a balance made a text": "UPDATE users SET wallet_balance_cents = 'much' WHERE discord_id = 1",
    "a payout made a text": "UPDATE cashback_payouts SET paid_cents = 'much' WHERE referrer_id = 1",
    "an audit entry's moment made no moment": "UPDATE cashback_audit_log SET at = 'never' WHERE id = 2",
    "a batch's moment made no moment": "UPDATE cashback_payout_batches SET approved_at = 'never'",
    "an order replaced": (
        "INSERT OR REPLACE INTO cashback_referral_purchases (order_id, buyer_id, referral_id, amount_cents, rate_ppm,"
        " earned_cents, purchased_at, recorded_at) VALUES ('a-1', 101, 1, 900, 1000000, 900,"
        " '2026-07-03 15:00:00.000000', '2026-07-03 15:00:00.000000')"
    ),
    "a payout replaced": (
        "INSERT OR REPLACE INTO cashback_payouts (batch_number, referrer_id, approved_cents, referral_count)"
        " VALUES (1, 1, 900, 1)"
    ),
    "an audit entry replaced": (
        "INSERT OR REPLACE INTO cashback_audit_log (id, at, actor, action, details, digest)"
        " SELECT id, at, 'somebody', action, details, digest FROM cashback_audit_log WHERE id = 2"
    ),
    "a batch replaced": (
        "INSERT OR REPLACE INTO cashback_payout_batches (number, mode, status, proposed_by, proposed_at)"
        " VALUES (2, 'batch', 'proposed', 'cli', '2026-07-03 15:00:00.000000')"
    ),
}
"""What only SQLite takes."""

OF_GUARDS: Final[dict[str, str]] = {
    "a guard dropped": "DROP TRIGGER cashback_audit_log_kept",
    "a guard replaced by one that does nothing": (
        "DROP TRIGGER cashback_audit_log_kept;"
        "CREATE TRIGGER cashback_audit_log_kept BEFORE DELETE ON cashback_audit_log WHEN 0 BEGIN SELECT 1; END"
    ),
}
"""Edits of a file's guards themselves, which nobody puts back."""


NOT_FOUND: Final[dict[str, str]] = {**EVENTS_NOT_FOUND}
"""Edits that nothing finds, each with the reason."""
