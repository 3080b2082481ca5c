"""Edits of events, auto-withdrawals, names, languages and the currency by plain SQL; `catalogue.py` has the others.

The story's webhook `shop` hears of everything. Member 3 wants payouts by bank each time, and 5 cents were added to the
open withdrawal 5.
"""

# ruff: noqa: S608 -- statements of our own

from typing import Final

MOMENT: Final = "'2026-07-03 15:00:00.000000'"
_EVENT: Final = "UPDATE cashback_webhook_deliveries SET {} WHERE event = '{}'"
_FORGED: Final = (
    "INSERT INTO cashback_webhook_deliveries (webhook, event, user_id, amount_cents, {}, happened_at)"
    f" VALUES ('shop', '{{}}', 3, 300, {{}}, {MOMENT})"
)
_WISH: Final = "UPDATE cashback_auto_withdrawals SET {}"

EVENT_EDITS: Final[dict[str, str]] = {
    "a payout's event, of more cents": _EVENT.format("amount_cents = amount_cents + 1", "payout.credited"),
    "a payout's event, of another member": _EVENT.format("user_id = 9", "payout.credited"),
    "a payout's event, of another moment": _EVENT.format("happened_at = '2026-07-04 15:00:00'", "payout.credited"),
    "a payout's event forged": _FORGED.format("batch_number", "payout.credited", 2),
    "a request's event, of more cents": _EVENT.format("amount_cents = amount_cents + 1", "withdrawal.requested"),
    "a request's event, as if it was paid": _EVENT.format("event = 'withdrawal.paid'", "withdrawal.requested"),
    "a decline's event, of another member": _EVENT.format("user_id = 9", "withdrawal.declined"),
    "a withdrawal's event forged": _FORGED.format("withdrawal_number", "withdrawal.requested", 4),
    "an auto-withdrawal's destination": _WISH.format("destination = 'encrypted-4'"),
    "an auto-withdrawal's destination erased": _WISH.format("destination = NULL"),
    "an auto-withdrawal's method": _WISH.format("method = 'paypal'"),
    "an auto-withdrawal's member": _WISH.format("user_id = 4"),
    "an auto-withdrawal ended": "DELETE FROM cashback_auto_withdrawals",
    "an auto-withdrawal forged": (
        "INSERT INTO cashback_auto_withdrawals (user_id, method, after_transaction_id, set_at)"
        f" VALUES (2, 'paypal', 0, {MOMENT})"
    ),
    "an addition's amount": "UPDATE cashback_withdrawal_additions SET amount_cents = 6",
    "an addition's request": "UPDATE cashback_withdrawal_additions SET number = 4",
    "an addition removed": "DELETE FROM cashback_withdrawal_additions",
    "which payouts were sent": _WISH.format("after_transaction_id = 0"),
    "an event removed": "DELETE FROM cashback_webhook_deliveries WHERE event = 'payout.credited'",
    "an event called delivered": _EVENT.format("status = 'delivered', settled_at = happened_at", "payout.credited"),
    "which events a webhook gets": "UPDATE cashback_webhooks SET events = 'withdrawal.paid'",
    "a member's name": "UPDATE cashback_member_names SET name = 'another', searched_name = 'another'",
    "a member's language": "UPDATE cashback_notification_preferences SET language = 'es'",
    "the currency": "UPDATE cashback_origin SET currency = 'JPY', decimals = 0",
}
"""By what is edited: statements that both databases take."""

EVENTS_NOT_FOUND: Final[dict[str, str]] = {
    "which payouts were sent": "they are sent again as far as the wallet holds them, to the member's own destination",
    "an event removed": "events tell others of what the ledger has; the ledger has it still",
    "an event called delivered": "the same",
    "which events a webhook gets": "the configuration puts it in force again at the next start",
    "a member's name": "names are copies of Discord's, shown beside ids, and decide nothing",
    "a member's language": "it decides nothing about money",
    "the currency": "each program compares it with its configuration and refuses another one",
}
"""Edits that verify does not find, each with the reason."""
