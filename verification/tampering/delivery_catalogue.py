"""Edits of deliveries by plain SQL; `catalogue.py` has the others. `delivery_story.py` says which delivery is which."""

# ruff: noqa: S608 -- statements of our own

from typing import Final


def _set(number: int, values: str) -> str:
    return f"UPDATE cashback_shop_deliveries SET {values} WHERE number = {number}"


_FACT = "UPDATE cashback_refund_facts SET {} WHERE kind = '{}'"

DELIVERY_EDITS: Final[dict[str, str]] = {
    "a delivery's digest": _set(1, f"digest = '{'0' * 64}'"),
    "a delivery's shop": _set(1, "shop = 'other'"),
    "a delivery's outcome": _set(1, "outcome = 'ignored'"),
    "a test's outcome": _set(5, "outcome = 'counted'"),
    "a delivery's intake": _set(1, "intake_number = intake_number + 1"),
    "what a delivery tells of": _set(1, "events = replace(events, '300', '301')"),
    "what a refund's delivery tells of": _set(2, "events = replace(events, '40', '41')"),
    "a delivery removed": "DELETE FROM cashback_shop_deliveries WHERE number = 1",
    "a delivery added": (
        "INSERT INTO cashback_shop_deliveries (shop, kind, at, digest, event_id, topic, outcome)"
        f" VALUES ('store', 'api', '2026-07-03 15:00:00.000000', '{'0' * 64}', 'e-9', 'paid', 'counted')"
    ),
    "a fact's amount": _FACT.format("amount_cents = 41", "refunded"),
    "a fact's order": _FACT.format("order_id = 's-9'", "refunded"),
    "a dispute that was won made a lost one": "DELETE FROM cashback_refund_facts WHERE kind = 'dispute_won'",
    "a fact removed": "DELETE FROM cashback_refund_facts WHERE kind = 'refunded'",
    "a fact added": (
        "INSERT INTO cashback_refund_facts (source, order_id, kind, refund_id, amount_cents, recorded_at)"
        " VALUES ('store', 's-1', 'refunded', 'r-9', 50, '2026-07-03 15:00:00.000000')"
    ),
    "a linked e-mail's member": "UPDATE cashback_member_emails SET member_id = 102",
    "a linked e-mail removed": "DELETE FROM cashback_member_emails",
    "a linked e-mail added": (
        "INSERT INTO cashback_member_emails (email_hash, member_id, linked_at)"
        f" VALUES ('{'0' * 64}', 102, '2026-07-03 15:00:00.000000')"
    ),
    "the order of a delivery": "UPDATE cashback_referral_purchases SET amount_cents = 301 WHERE order_id = 's-1'",
}
