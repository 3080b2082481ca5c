"""WooCommerce: an order's delivery holds its status and all its refunds. The first request is an unsigned ping."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.currencies import share_of
from cashback.shops.webhooks.fields import Fields, buyer_of, named
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, WebhookKind
from cashback.shops.webhooks.signing import in_base64, require_match

PAID: Final = frozenset({"processing", "completed"})
TAKEN_BACK: Final = frozenset({"refunded", "cancelled", "failed", "trash"})
PING: Final = re.compile(rb"webhook_id=[0-9]{1,20}")


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `X-WC-Webhook-Signature`, a signature over the body."""
    given = delivery.header("X-WC-Webhook-Signature")
    require_match([given], (in_base64(secret, delivery.body) for secret in secrets))


def is_ping(delivery: Delivery) -> bool:
    """Return whether this is the request that WooCommerce sends when a webhook is saved."""
    return PING.fullmatch(delivery.body) is not None


def read(delivery: Delivery, counts: Counts) -> Reading:
    """Read an order and its refunds."""
    if is_ping(delivery):
        return Reading(topic="ping", remark="WooCommerce asked whether the address answers.")
    order = Fields.of_json(delivery.body, delivery.now)
    if order.value("status") is None or order.value("total") is None:
        return Reading(topic="other", remark="Cashback does not depend on deliveries of this type.")
    events = tuple(_events(order, counts))
    status = order.text("status")
    return Reading(topic=f"order {status}", events=events, remark=None if events else "The order is not paid yet.")


def _events(order: Fields, counts: Counts) -> Iterator[ShopEvent]:
    order_id, currency, status = order.id("id"), order.currency("currency"), order.text("status")
    is_test = any(
        entry.text("key") == "_wcpay_mode" and entry.text("value") == "test" for entry in order.items("meta_data")
    )
    # With a plugin for numbers, an order's number is not its id, and exports have the number alone.
    number = order.id("number") if order.text("number") is not None else None
    order_id, other_id = number or order_id, order_id if number not in {None, order_id} else None
    total = order.decimal("total", currency=currency)
    apart = [name for name in ("total_tax", "shipping_total") if order.value(name) is not None]
    without = max(0, total - sum(order.decimal(name, currency=currency) for name in apart))
    counted = without if counts is Counts.SUBTOTAL else total
    if status in PAID:
        yield ShopEvent(
            kind=EventKind.PAID,
            order_id=order_id,
            amount_cents=counted,
            currency=currency,
            is_test=is_test,
            buyer_id=buyer_of(named(order.items("meta_data"), name="key", value="value")),
            at=order.moment("date_paid_gmt") or order.moment("date_created_gmt"),
            email=order.text("billing", "email"),
            number=number,
            file_id=other_id,
        )
    if status in PAID or status == "refunded":
        for refund in order.items("refunds"):
            refunded = refund.magnitude("total", currency=currency)
            yield ShopEvent(
                kind=EventKind.REFUNDED,
                order_id=order_id,
                amount_cents=share_of(refunded, counted_cents=counted, total_cents=total),
                currency=currency,
                is_test=is_test,
                refund_id=refund.id("id"),
                file_id=other_id,
            )
    if status in TAKEN_BACK:
        # One that was never paid may fail or be cancelled, and be paid in a second try.
        never_paid = "date_paid_gmt" in order.names() and order.value("date_paid_gmt") is None
        yield ShopEvent(
            kind=EventKind.REFUNDED_IN_ALL,
            order_id=order_id,
            currency=currency,
            is_test=is_test,
            file_id=other_id,
            is_of_unpaid=never_paid,
        )


KIND: Final = WebhookKind(
    name="woocommerce",
    title="WooCommerce",
    verify=verify,
    read=read,
    is_secret_invented=True,
    greeting=is_ping,
    steps=(
        (
            "WordPress admin, WooCommerce, Settings, Advanced, Webhooks: Add webhook. Topic Order updated, status"
            " Active, the address above as delivery URL, API version WP REST API v3."
        ),
        "Write the secret of the variable below into the field Secret.",
    ),
)
