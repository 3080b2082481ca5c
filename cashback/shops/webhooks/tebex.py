"""Tebex: the signature is over the digest of the body. A new address is validated by a delivery that must be echoed."""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, UnreadableError, WebhookKind
from cashback.shops.webhooks.signing import hexadecimal, require_match

KINDS: Final = {
    "payment.completed": EventKind.PAID,
    "payment.refunded": EventKind.REFUNDED_IN_ALL,
    "payment.dispute.opened": EventKind.DISPUTED,
    "payment.dispute.lost": EventKind.DISPUTED,
    "payment.dispute.won": EventKind.DISPUTE_WON,
}


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `X-Signature`, a signature over the hexadecimal SHA-256 of the body."""
    digest = hashlib.sha256(delivery.body).hexdigest().encode()
    require_match([delivery.header("X-Signature")], (hexadecimal(secret, digest) for secret in secrets))


def read(delivery: Delivery, counts: Counts) -> Reading:
    """Read payments, refunds and disputes; answer the validation of the address."""
    event = Fields.of_json(delivery.body, delivery.now)
    topic, event_id, payment = event.id("type"), event.id("id"), event.at("subject")
    if topic == "validation.webhook":
        answer = json.dumps({"id": event_id}).encode()
        return Reading(topic=topic, event_id=event_id, answer=answer, remark="Tebex validated the address.")
    kind = KINDS.get(topic)
    if kind is None:
        remark = "Cashback does not depend on events of this type."
        return Reading(topic=topic, event_id=event_id, remark=remark)
    found = _paid(payment, counts) if kind is EventKind.PAID else _taken_back(payment, kind)
    return Reading(topic=topic, event_id=event_id, events=(found,))


def _paid(payment: Fields, counts: Counts) -> ShopEvent:
    currency = payment.currency("price_paid", "currency")
    amount_cents = payment.decimal("price_paid", "amount", currency=currency)
    if counts is Counts.SUBTOTAL and payment.value("fees", "tax", "amount") is not None:
        amount_cents = max(0, amount_cents - payment.decimal("fees", "tax", "amount", currency=currency))
    return ShopEvent(
        kind=EventKind.PAID,
        order_id=payment.id("transaction_id"),
        amount_cents=amount_cents,
        currency=currency,
        buyer_id=buyer_of(*(_custom_id(product) for product in payment.items("products"))),
        at=payment.moment("created_at"),
        email=payment.text("customer", "email"),
    )


def _custom_id(product: Fields) -> object:
    """Return the id in a product's custom data, which is an object or its JSON as a text."""
    custom = product.value("custom")
    if not isinstance(custom, str):
        return product.value("custom", "discord_id")
    try:
        return Fields.of_json(custom, product.now).value("discord_id")
    except UnreadableError:
        return None


def _taken_back(payment: Fields, kind: EventKind) -> ShopEvent:
    order_id = payment.id("transaction_id")
    return ShopEvent(
        kind=kind,
        order_id=order_id,
        currency=payment.currency("price_paid", "currency"),
        refund_id=None if kind is EventKind.REFUNDED_IN_ALL else f"dispute/{order_id}",
    )


KIND: Final = WebhookKind(
    name="tebex",
    title="Tebex",
    verify=verify,
    read=read,
    steps=(
        (
            "Tebex creator panel, Developers, Webhooks, Endpoints: Add endpoint, with the address above. Events:"
            " payment completed, payment refunded, dispute opened, dispute won, dispute lost."
        ),
        "Copy the webhook secret of that page into the variable below and restart the bot; then press Validate there.",
    ),
)
