"""Square: the signature is over the address and the body, so the address must be the one that Square was given."""

from collections.abc import Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.ids import named_id, only_id
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, WebhookKind
from cashback.shops.webhooks.signing import in_base64, require_match

PAYMENTS: Final = frozenset({"payment.created", "payment.updated"})
REFUNDS: Final = frozenset({"refund.created", "refund.updated"})
DISPUTES: Final = frozenset({"dispute.created", "dispute.state.updated", "dispute.state.changed"})


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `x-square-hmacsha256-signature`, a signature over the address and the body."""
    given = delivery.header("x-square-hmacsha256-signature")
    message = delivery.url.encode() + delivery.body
    require_match([given], (in_base64(secret, message) for secret in secrets))


def read(delivery: Delivery, _counts: Counts) -> Reading:
    """Read completed payments and refunds, and disputes. A payment is one amount: both ways to count are the same."""
    event = Fields.of_json(delivery.body, delivery.now)
    topic, event_id, thing = event.id("type"), event.id("event_id"), event.at("data", "object")
    found: ShopEvent | str = "Cashback does not depend on events of this type."
    if topic in PAYMENTS:
        found = _payment(thing.at("payment"))
    elif topic in REFUNDS:
        found = _refund(thing.at("refund"))
    elif topic in DISPUTES:
        found = _dispute(thing.at("dispute"))
    if isinstance(found, str):
        return Reading(topic=topic, event_id=event_id, remark=found)
    return Reading(topic=topic, event_id=event_id, events=(found,))


def _payment(payment: Fields) -> ShopEvent | str:
    if payment.text("status") != "COMPLETED":
        return "The payment is not completed."
    note, currency = payment.text("note") or "", payment.currency("amount_money", "currency")
    return ShopEvent(
        kind=EventKind.PAID,
        order_id=payment.id("id"),
        amount_cents=_amount(payment, currency),
        currency=currency,
        buyer_id=buyer_of(payment.value("reference_id"), named_id(note), only_id(note)),
        at=payment.moment("created_at"),
        email=payment.text("buyer_email_address"),
        number=payment.text("receipt_number"),
    )


def _refund(refund: Fields) -> ShopEvent | str:
    if refund.text("status") != "COMPLETED":
        return "The refund is not completed."
    currency = refund.currency("amount_money", "currency")
    return ShopEvent(
        kind=EventKind.REFUNDED,
        order_id=refund.id("payment_id"),
        amount_cents=_amount(refund, currency),
        currency=currency,
        refund_id=refund.id("id"),
    )


def _dispute(dispute: Fields) -> ShopEvent | str:
    state = dispute.text("state") or ""
    if state.startswith("INQUIRY"):
        return "An inquiry takes no money; a dispute may follow."
    currency = dispute.currency("amount_money", "currency")
    return ShopEvent(
        kind=EventKind.DISPUTE_WON if state == "WON" else EventKind.DISPUTED,
        order_id=dispute.id("disputed_payment", "payment_id"),
        amount_cents=_amount(dispute, currency),
        currency=currency,
        refund_id=dispute.text("dispute_id") or dispute.id("id"),
    )


def _amount(thing: Fields, currency: str) -> int:
    return thing.minor_units("amount_money", "amount", currency=currency)


KIND: Final = WebhookKind(
    name="square",
    title="Square",
    verify=verify,
    read=read,
    steps=(
        (
            "Square Developer Console, your application, Webhooks, Subscriptions: Add subscription, with exactly the"
            " address above. Events: payment.updated, refund.updated, dispute.created, dispute.state.updated."
        ),
        "Copy the subscription's signature key into the variable below.",
    ),
)
