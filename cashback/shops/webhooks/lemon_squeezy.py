"""Lemon Squeezy: orders, and the payments of subscriptions after the first."""

from collections.abc import Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.currencies import share_of
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, WebhookKind
from cashback.shops.webhooks.signing import hexadecimal, require_match

PAID: Final = frozenset({"order_created", "subscription_payment_success"})
REFUNDED: Final = frozenset({"order_refunded", "subscription_payment_refunded"})
SETTLED: Final = frozenset({"paid", "partial_refund", "refunded"})


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `X-Signature`, a signature over the body."""
    require_match([delivery.header("X-Signature")], (hexadecimal(secret, delivery.body) for secret in secrets))


def read(delivery: Delivery, counts: Counts) -> Reading:
    """Read orders, subscriptions' payments, and refunds."""
    body = Fields.of_json(delivery.body, delivery.now)
    topic, order = body.id("meta", "event_name"), body.at("data", "attributes")
    if topic not in PAID | REFUNDED:
        return Reading(topic=topic, remark="Cashback does not depend on events of this type.")
    if order.text("billing_reason") == "initial":
        return Reading(topic=topic, remark="A subscription's first payment is reported as an order.")
    if topic in PAID and order.text("status") not in SETTLED:
        return Reading(topic=topic, remark="The order is not paid yet.")
    order_id = body.id("data", "id")
    if body.text("data", "type") == "subscription-invoices":
        order_id = f"subscription-invoice/{order_id}"
    return Reading(topic=topic, events=(_event(body, order, order_id, counts, is_paid=topic in PAID),))


def _event(body: Fields, order: Fields, order_id: str, counts: Counts, *, is_paid: bool) -> ShopEvent:
    currency = order.currency("currency")
    is_test = body.is_true("meta", "test_mode") or order.is_true("test_mode")
    total = order.minor_units("total", currency=currency)
    has_tax = counts is Counts.SUBTOTAL and order.value("tax") is not None
    counted = max(0, total - order.minor_units("tax", currency=currency)) if has_tax else total
    if is_paid:
        return ShopEvent(
            kind=EventKind.PAID,
            order_id=order_id,
            amount_cents=counted,
            currency=currency,
            is_test=is_test,
            buyer_id=buyer_of(body.value("meta", "custom_data", "discord_id")),
            at=order.moment("created_at"),
            email=order.text("user_email"),
            number=order.text("order_number"),
        )
    # The orders of earlier versions have no amount: they were refunded in all.
    amount_cents = None
    if order.value("refunded_amount") is not None:
        refunded = order.minor_units("refunded_amount", currency=currency)
        if refunded < total:
            amount_cents = share_of(refunded, counted_cents=counted, total_cents=total)
    return ShopEvent(
        kind=EventKind.REFUNDED_IN_ALL,
        order_id=order_id,
        amount_cents=amount_cents,
        currency=currency,
        is_test=is_test,
    )


KIND: Final = WebhookKind(
    name="lemon-squeezy",
    title="Lemon Squeezy",
    verify=verify,
    read=read,
    is_secret_invented=True,
    parameter="checkout[custom][discord_id]",
    steps=(
        (
            "Lemon Squeezy, Settings, Webhooks: add one with the address above, and write the secret of the variable"
            " below as its signing secret."
        ),
        "Events: order_created, order_refunded, subscription_payment_success, subscription_payment_refunded.",
    ),
)
