"""Paddle Billing: transactions, and adjustments that refund or charge back a part of one."""

from collections.abc import Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, UnverifiedError, WebhookKind
from cashback.shops.webhooks.signing import hexadecimal, parts_of, require_match, require_recent

ADJUSTMENTS: Final = {
    "refund": EventKind.REFUNDED,
    "chargeback": EventKind.DISPUTED,
    "chargeback_reverse": EventKind.DISPUTE_WON,
}


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `Paddle-Signature: ts=…;h1=…`, a signature over the timestamp and the body."""
    parts = parts_of(delivery.header("Paddle-Signature"), ";")
    if not parts.get("ts") or not parts.get("h1"):
        raise UnverifiedError("Paddle-Signature has no ts or no h1.")
    message = parts["ts"][0].encode(errors="replace") + b":" + delivery.body
    require_match(parts["h1"], (hexadecimal(secret, message) for secret in secrets))
    require_recent(parts["ts"][0], delivery.now)


def read(delivery: Delivery, counts: Counts) -> Reading:
    """Read completed transactions and approved adjustments."""
    event = Fields.of_json(delivery.body, delivery.now)
    topic, event_id, data = event.id("event_type"), event.id("event_id"), event.at("data")
    found: ShopEvent | str = "Cashback does not depend on events of this type."
    if topic == "transaction.completed":
        found = _transaction(data, counts)
    elif topic in {"adjustment.created", "adjustment.updated"}:
        found = _adjustment(data, counts)
    if isinstance(found, str):
        return Reading(topic=topic, event_id=event_id, remark=found)
    return Reading(topic=topic, event_id=event_id, events=(found,))


def _transaction(transaction: Fields, counts: Counts) -> ShopEvent:
    currency = transaction.currency("currency_code")
    return ShopEvent(
        kind=EventKind.PAID,
        order_id=transaction.id("id"),
        amount_cents=_counted(transaction.at("details", "totals"), counts, currency),
        currency=currency,
        buyer_id=buyer_of(transaction.value("custom_data", "discord_id")),
        at=transaction.moment("billed_at") or transaction.moment("created_at"),
        email=transaction.text("customer", "email"),
        number=transaction.text("invoice_number"),
    )


def _adjustment(adjustment: Fields, counts: Counts) -> ShopEvent | str:
    kind = ADJUSTMENTS.get(adjustment.text("action") or "")
    if kind is None:
        return "An adjustment of this kind takes no money back."
    if adjustment.text("status") != "approved":
        return f"The adjustment is {adjustment.text('status')}, not approved."
    order_id, currency = adjustment.id("transaction_id"), adjustment.currency("currency_code")
    return ShopEvent(
        kind=kind,
        order_id=order_id,
        amount_cents=_counted(adjustment.at("totals"), counts, currency),
        currency=currency,
        # A chargeback and its reversal are two adjustments; what they share is the transaction.
        refund_id=adjustment.id("id") if kind is EventKind.REFUNDED else f"dispute/{order_id}",
    )


def _counted(totals: Fields, counts: Counts, currency: str) -> int:
    total = totals.minor_units("total", currency=currency)
    return total if counts is Counts.TOTAL else max(0, total - totals.minor_units("tax", currency=currency))


KIND: Final = WebhookKind(
    name="paddle",
    title="Paddle Billing",
    verify=verify,
    read=read,
    steps=(
        (
            "Paddle, Developer tools, Notifications: New destination, type Webhook, with the address above. Events:"
            " transaction.completed, adjustment.created, adjustment.updated."
        ),
        "Copy the destination's secret key (pdl_ntfset_…) into the variable below.",
    ),
)
