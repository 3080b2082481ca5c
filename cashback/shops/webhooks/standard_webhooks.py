"""Standard Webhooks, as Polar and Whop send them: one way to sign, and each system's own events."""

import base64
import binascii
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from cashback.domain.shop_events import ShopEvent
from cashback.shops.webhooks import polar, whop
from cashback.shops.webhooks.fields import Fields
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, WebhookKind
from cashback.shops.webhooks.signing import in_base64, require_match, require_recent

PREFIX: Final = b"whsec_"
VERSION: Final = "v1,"


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `webhook-signature: v1,…`, a signature over the id, the timestamp and the body."""
    event_id, timestamp = delivery.header("webhook-id"), delivery.header("webhook-timestamp")
    given = [one.removeprefix(VERSION) for one in delivery.header("webhook-signature").split() if one.startswith("v1,")]
    message = f"{event_id}.{timestamp}.".encode(errors="replace") + delivery.body
    require_match(given, (in_base64(key, message) for secret in secrets for key in _keys_of(secret)))
    require_recent(timestamp, delivery.now)


def _keys_of(secret: bytes) -> list[bytes]:
    """Return the keys of a secret: itself, as Polar and Whop take it, and what is base64 after whsec_."""
    keys = [secret]
    if secret.startswith(PREFIX):
        with suppress(binascii.Error):
            keys.append(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
    return keys


def read(delivery: Delivery, counts: Counts) -> Reading:
    """Read an event by its type."""
    event = Fields.of_json(delivery.body, delivery.now)
    topic = event.text("type") or event.id("action")
    reader = READERS.get(topic)
    found = None if reader is None else reader(event.at("data"), counts)
    return Reading(
        topic=topic,
        event_id=delivery.header("webhook-id"),
        events=() if found is None else (found,),
        remark="Cashback does not depend on this event." if found is None else None,
    )


def _refund(refund: Fields, counts: Counts) -> ShopEvent | None:
    """Read a refund: Polar's names an order, Whop's a payment."""
    return (polar.refund if refund.value("order_id") is not None else whop.refund)(refund, counts)


READERS: Final[dict[str, Callable[[Fields, Counts], ShopEvent | None]]] = {
    "order.paid": polar.order_paid,
    "order.refunded": polar.refunded_in_all,
    "refund.created": _refund,
    "refund.updated": _refund,
    "payment.succeeded": whop.payment_succeeded,
    "dispute.created": whop.dispute,
    "dispute.updated": whop.dispute,
}


KIND: Final = WebhookKind(
    name="standard-webhooks",
    title="Standard Webhooks (Polar, Whop)",
    verify=verify,
    read=read,
    parameter="reference_id",
    steps=(
        (
            "Polar: Settings, Webhooks: Add endpoint, format Raw, with the address above. Events: order.paid,"
            " order.refunded."
        ),
        (
            "Whop: Developer, Webhooks: Create webhook, with the address above. Events: payment.succeeded,"
            " refund.created, refund.updated, dispute.created, dispute.updated."
        ),
        "Copy the secret into the variable below.",
    ),
)
