"""Edits of withdrawals and adjustments by plain SQL; `catalogue.py` has the others.

The story's withdrawals: 1 of member 6 was paid, 2 declined, 3 cancelled, 4 is open, and 5 of member 4 is open too.
"""

# ruff: noqa: S608 -- statements of our own

from typing import Final

MOMENT: Final = "'2026-07-03 15:00:00.000000'"


def _moved(cents: int, kind: str, member: int = 6) -> str:
    """Move money by a transaction that is as ours are, and the balance with it."""
    return (
        f"UPDATE users SET wallet_balance_cents = wallet_balance_cents + {cents} WHERE discord_id = {member};"
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type,"
        f" created_at) SELECT {member}, {cents}, wallet_balance_cents, '{kind}', {MOMENT} FROM users"
        f" WHERE discord_id = {member};"
    )


def _set(number: int, values: str) -> str:
    return f"UPDATE cashback_withdrawals SET {values} WHERE number = {number}"


WALLET_EDITS: Final[dict[str, str]] = {
    "a request's amount": _set(4, "amount_cents = 71"),
    "a paid withdrawal's amount": _set(1, "amount_cents = 601"),
    "a request's member": _set(5, "user_id = 3"),
    "a request's method": _set(4, "method = 'bank'"),
    "a request's moment": _set(4, "requested_at = '2026-07-02 15:00:00.000000'"),
    "a request's transaction": _set(4, "debit_id = 1"),
    "a request's destination, another member's": _set(4, "destination = 'encrypted-4'"),
    "a request's destination erased": _set(4, "destination = NULL"),
    "a paid withdrawal's destination erased": _set(1, "destination = NULL"),
    "the need of a second admin for a withdrawal": _set(4, "needs_second_approver = 'a reason'"),
    "the need of a second admin for a withdrawal, erased": _set(
        1, "needs_second_approver = NULL, first_approved_by = NULL"
    ),
    "the first admin of a withdrawal": _set(1, "first_approved_by = 'discord:9'"),
    "who paid a withdrawal": _set(1, "decided_by = 'discord:9', decider_id = 9"),
    "the id of who paid a withdrawal": _set(1, "decider_id = 9"),
    "when a withdrawal was paid": _set(1, "decided_at = '2026-07-04 15:00:00.000000'"),
    "a transfer's reference": _set(1, "reference = 'T-2'"),
    "why a withdrawal was declined": _set(2, "reason = 'another'"),
    "a paid withdrawal opened again": _set(
        1, "status = 'requested', reference = NULL, decided_at = NULL, decided_by = NULL, decider_id = NULL"
    ),
    "a request marked as paid": _set(
        4, f"status = 'paid', reference = 'T-2', decided_by = 'cli', decided_at = {MOMENT}"
    ),
    "a declined withdrawal marked as paid": _set(
        2, "status = 'paid', reference = 'T-2', reason = NULL, return_id = NULL"
    ),
    "a declined withdrawal called cancelled": _set(2, "status = 'cancelled'"),
    "a request declined without a return": _set(
        4, f"status = 'declined', reason = 'x', decided_by = 'cli', decided_at = {MOMENT}, return_id = 1"
    ),
    "a request declined, with all that hangs on it": (
        _moved(70, "cashback_withdrawal_returned")
        + "UPDATE cashback_withdrawals SET status = 'declined', reason = 'x', decided_by = 'cli',"
        f" decided_at = {MOMENT}, return_id = (SELECT max(id) FROM wallet_transactions) WHERE number = 4"
    ),
    "a paid withdrawal returned too": (
        _moved(600, "cashback_withdrawal_returned")
        + "UPDATE cashback_withdrawals SET return_id = (SELECT max(id) FROM wallet_transactions) WHERE number = 1"
    ),
    "a withdrawal returned twice": _moved(50, "cashback_withdrawal_returned"),
    "a request removed": "DELETE FROM cashback_withdrawals WHERE number = 4",
    "a request removed, with all that hangs on it": (
        "DELETE FROM cashback_withdrawals WHERE number = 4;"
        "DELETE FROM wallet_transactions WHERE amount_cents = -70 AND user_discord_id = 6;"
        "UPDATE users SET wallet_balance_cents = wallet_balance_cents + 70 WHERE discord_id = 6"
    ),
    "a request forged, with all that hangs on it": (
        _moved(-90, "cashback_withdrawal", 3)
        + "INSERT INTO cashback_withdrawals (number, user_id, method, amount_cents, status, requested_at, debit_id)"
        f" SELECT 6, 3, 'paypal', 90, 'requested', {MOMENT}, max(id) FROM wallet_transactions"
    ),
    "a member's second request": (
        _moved(-5, "cashback_withdrawal")
        + "INSERT INTO cashback_withdrawals (number, user_id, method, amount_cents, status, requested_at, debit_id)"
        f" SELECT 6, 6, 'paypal', 5, 'requested', {MOMENT}, max(id) FROM wallet_transactions"
    ),
    "an adjustment's amount": "UPDATE cashback_wallet_adjustments SET amount_cents = 901",
    "an adjustment's member": "UPDATE cashback_wallet_adjustments SET user_id = 4",
    "an adjustment's reason": "UPDATE cashback_wallet_adjustments SET reason = 'another'",
    "who adjusted": "UPDATE cashback_wallet_adjustments SET made_by = 'discord:9'",
    "the second admin of an adjustment": "UPDATE cashback_wallet_adjustments SET approver_id = 9",
    "an adjustment's need of a second admin": (
        "UPDATE cashback_wallet_adjustments SET needs_second_approver = NULL, approver_id = NULL"
    ),
    "an adjustment removed": "DELETE FROM cashback_wallet_adjustments",
    "an adjustment removed, with all that hangs on it": (
        "DELETE FROM cashback_wallet_adjustments;"
        "DELETE FROM wallet_transactions WHERE transaction_type = 'cashback_adjustment';"
        "UPDATE users SET wallet_balance_cents = wallet_balance_cents - 900 WHERE discord_id = 6"
    ),
    "an adjustment forged, with all that hangs on it": (
        _moved(5, "cashback_adjustment", 3)
        + "INSERT INTO cashback_wallet_adjustments (transaction_id, user_id, amount_cents, reason, made_by, made_at)"
        f" SELECT max(id), 3, 5, 'x', 'cli', {MOMENT} FROM wallet_transactions"
    ),
}
"""By what is edited: statements that both databases take."""
