"""Audit entries as sentences. What a sentence leaves out is in the entry's details."""

import re
from collections.abc import Mapping
from typing import Any, Final

from cashback.dashboard.template_filters import counted, moment_text, rule, state
from cashback.domain.money import dollars

SENTENCES: Final[Mapping[str, str]] = {
    "auto_withdrawal_ended": "switched off that each payout is sent",
    "auto_withdrawal_set": "switched on that each payout is sent by {method}",
    "backup_made": "made a backup of the ledger",
    "batch_approved": "approved {total_cents} to {users}",
    "batch_cancelled": "cancelled the batch",
    "batch_expired": "let the proposal expire",
    "batch_finished": "finished the batch: {total_cents} to {users_paid}, {failed} failed, {skipped} skipped",
    "batch_first_approved": "gave the first of two approvals: {total_cents} to {users}",
    "batch_given_up": "abandoned what was left: {users}",
    "batch_lapsed": "closed the batch, because its approval became too old",
    "batch_proposed": "proposed {total_cents} to {users}",
    "batch_resumed": "resumed the batch",
    "batch_stopped": "stopped the batch",
    "blacklisted": "blacklisted {user_id}: {reason}",
    "claim_tried": "tried to claim an order",
    "dashboard_link_issued": "asked for a link to the dashboard",
    "email_linked": "linked an e-mail that orders are made with",
    "head_posted": "posted the head of the audit log",
    "intake_undone": "undid import or delivery {intake}, of {cents}",
    "intake_recorded": "recorded {rows} of {source} ({kind})",
    "ledger_adopted": "took over another bot's ledger",
    "ledger_moved": "moved the ledger here",
    "ledger_restored": "restored the ledger from a backup",
    "ledger_shared": "declared that another bot shares the ledger",
    "notifications_retried": "queued {messages} messages again",
    "order_corrected": "corrected the order {order_id}: {reason}",
    "paid_elsewhere": "paid {referrer_id} {cents} without a batch",
    "payouts_reversed": "reversed {reversed_cents} of {users}: {reason}",
    "plan_recorded": "recorded the plan of the batch",
    "purchase_assigned": "assigned the order {order_id} to {member_id}",
    "purchase_refunded": "recorded a refund of {amount_cents} of the order {order_id}",
    "referral_linked": "linked {referred_id} to the referrer {referrer_id}",
    "referral_unlinked": "unlinked {referred_id} from the referrer {referrer_id}",
    "refused": "was refused: {wanted}",
    "retry_started": "retried {users}",
    "reversal_cancelled": "cancelled a reversal",
    "reversal_first_approved": "gave the first of two approvals of a reversal",
    "reversal_proposed": "asked to reverse {total_cents} of {users}: {reason}",
    "schedule_changed": "set the weekly batch to {rule}",
    "schedule_corrected": "made void what was decided under a wrong clock",
    "schedule_paused": "paused the weekly batch: {reason}",
    "schedule_resumed": "resumed the weekly batch",
    "settings_changed": "changed the settings: {changes}",
    "signed_in": "signed in",
    "signed_out": "signed out",
    "slot_batched": "paid the weekly batch of {slot_at}",
    "slot_missed": "missed the weekly batch of {slot_at}: {reason}",
    "slot_nothing_pending": "found nothing pending for the weekly batch of {slot_at}",
    "slot_skipped": "skipped the weekly batch of {slot_at}: {reason}",
    "slot_unskipped": "withdrew the skip of the weekly batch of {slot_at}",
    "unblacklisted": "removed {user_id} from the blacklist",
    "verified": "verified the ledger",
    "wallet_adjusted": "changed the wallet of {user_id} by {amount_cents}: {reason}",
    "webhook_delivery_retried": "sent the event {delivery} again",
    "withdrawal_cancelled": "cancelled the withdrawal of {amount_cents} of {user_id}",
    "withdrawal_declined": "declined the withdrawal of {amount_cents} of {user_id}: {reason}",
    "withdrawal_destinations_erased": "erased where decided withdrawals went to",
    "withdrawal_first_approved": "gave the first of two approvals of the withdrawal of {amount_cents} of {user_id}",
    "withdrawal_paid": "paid the withdrawal of {amount_cents} of {user_id}",
    "withdrawal_raised": "added {amount_cents} to the withdrawal of {user_id}",
    "withdrawal_requested": "asked to withdraw {amount_cents}",
    "withdrawals_exported": "exported the open withdrawals",
}
NOUNS: Final = {"users": "referrer", "users_paid": "referrer", "rows": "row"}
_HOLE: Final = re.compile(r"\{(\w+)\}")

Part = str | int
"""A text, or a member's id, which the page shows as a person."""


def sentence(entry: Mapping[str, Any]) -> list[Part]:
    """Return an entry's sentence after its actor, in parts. An unknown action is its name in words."""
    details, action = entry["details"], str(entry["action"])
    pieces = _HOLE.split(SENTENCES.get(action, state(action)))
    parts: list[Part] = []
    for place, piece in enumerate(pieces):
        parts.append(_value(piece, details.get(piece)) if place % 2 else piece)
    if parts[-2:-1] == ["–"] and parts[-1] == "":
        # The last hole is a reason that was not given.
        parts[-3:] = [str(parts[-3]).removesuffix(": ")]
    return [part for part in parts if part != ""]


def _value(name: str, value: Any) -> Part:  # noqa: ANN401 -- whatever JSON holds
    if value is None:
        return "–"
    if name.endswith("_id") and name != "order_id" and isinstance(value, int | str) and str(value).isdigit():
        return int(value)
    if (name.endswith("_cents") or name == "cents") and isinstance(value, int):
        return dollars(value)
    if name in NOUNS and isinstance(value, int):
        return counted(value, NOUNS[name])
    text = rule(str(value)) if name == "rule" else str(value)
    return moment_text(text) if name.endswith("_at") else text
