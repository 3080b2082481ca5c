"""Shopify: what a delivery means is decided by its body, because the header with the topic is not signed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.fields import Fields, buyer_of, named
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, WebhookKind
from cashback.shops.webhooks.signing import in_base64, require_match

PAID: Final = frozenset({"paid", "partially_refunded", "refunded"})


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `X-Shopify-Hmac-Sha256`, a signature over the body."""
    given = delivery.header("X-Shopify-Hmac-Sha256")
    require_match([given], (in_base64(secret, delivery.body) for secret in secrets))


def read(delivery: Delivery, counts: Counts) -> Reading:
    """Read orders with their refunds, refunds, and disputes."""
    body = Fields.of_json(delivery.body, delivery.now)
    if body.value("evidence_due_by") is not None or body.value("network_reason_code") is not None:
        found = [_dispute(body)] if body.text("type") == "chargeback" else []
        return _reading("dispute", found, "An inquiry takes no money; a dispute may follow.")
    if body.value("refund_line_items") is not None:
        return _reading("refund", list(_refund(body, counts, body.text("currency"))), "The refund gave no money back.")
    if body.value("financial_status") is not None:
        return _reading("order", list(_order(body, counts)), "The order is not paid yet.")
    return Reading(topic="other", remark="Cashback does not depend on deliveries of this type.")


def _reading(topic: str, events: Sequence[ShopEvent], remark: str) -> Reading:
    return Reading(topic=topic, events=tuple(events), remark=None if events else remark)


def _order(order: Fields, counts: Counts) -> Iterator[ShopEvent]:
    order_id, currency, is_test = order.id("id"), order.currency("currency"), order.is_true("test")
    if order.text("financial_status") in PAID:
        attributes = named(order.items("note_attributes"), name="name", value="value")
        lines = [named(line.items("properties"), name="name", value="value") for line in order.items("line_items")]
        yield ShopEvent(
            kind=EventKind.PAID,
            order_id=order_id,
            amount_cents=_counted(order, counts, currency),
            currency=currency,
            is_test=is_test,
            buyer_id=buyer_of(attributes, *lines),
            at=order.moment("processed_at") or order.moment("created_at"),
            number=order.text("name"),
            file_id=order.text("name"),
            email=order.text("email") or order.text("contact_email") or order.text("customer", "email"),
        )
        for refund in order.items("refunds"):
            for event in _refund(refund, counts, currency):
                yield replace(event, file_id=order.text("name"))
    if order.value("cancelled_at") is not None or order.text("financial_status") == "refunded":
        yield ShopEvent(
            kind=EventKind.REFUNDED_IN_ALL,
            order_id=order_id,
            currency=currency,
            is_test=is_test,
            file_id=order.text("name"),
        )


def _counted(order: Fields, counts: Counts, currency: str) -> int:
    if counts is Counts.TOTAL:
        return order.decimal("total_price", currency=currency)
    subtotal = order.decimal("subtotal_price", currency=currency)
    if not order.is_true("taxes_included"):
        return subtotal
    taxes = [tax for line in order.items("line_items") for tax in line.items("tax_lines")]
    return max(0, subtotal - sum(tax.decimal("price", currency=currency) for tax in taxes))


def _refund(refund: Fields, counts: Counts, currency: str | None) -> Iterator[ShopEvent]:
    paid_back = [
        transaction
        for transaction in refund.items("transactions")
        if transaction.text("kind") == "refund" and transaction.text("status") == "success"
    ]
    if not paid_back:
        return
    lines = list(refund.items("refund_line_items"))
    given_in = (paid_back[0].text("currency") or currency or paid_back[0].currency("currency")).upper()
    sets = [line.text("subtotal_set", "shop_money", "currency_code") for line in lines]
    currency = (currency or next(filter(None, sets), None) or given_in).upper()
    if given_in != currency and sets and all(sets):
        # The buyer paid in another currency than the shop's; the lines have both.
        amount_cents = sum(_in_shop_currency(line, counts, currency) for line in lines)
    else:
        currency = given_in
        amount_cents = sum(transaction.decimal("amount", currency=currency) for transaction in paid_back)
        if counts is Counts.SUBTOTAL:
            amount_cents = min(amount_cents, _goods_of(refund, currency, amount_cents))
    if amount_cents:
        yield ShopEvent(
            kind=EventKind.REFUNDED,
            order_id=refund.id("order_id"),
            amount_cents=amount_cents,
            currency=currency,
            is_test=any(transaction.is_true("test") for transaction in paid_back),
            refund_id=refund.id("id"),
        )


def _in_shop_currency(line: Fields, counts: Counts, currency: str) -> int:
    names = ("subtotal_set",) if counts is Counts.SUBTOTAL else ("subtotal_set", "total_tax_set")
    return sum(line.magnitude(name, "shop_money", "amount", currency=currency) for name in names)


def _goods_of(refund: Fields, currency: str, paid_back_cents: int) -> int:
    """Return a refund without shipping and without the taxes of its lines."""
    shipping = [
        adjustment.magnitude("amount", currency=currency) + _optional(adjustment, "tax_amount", currency)
        for adjustment in refund.items("order_adjustments")
        if adjustment.text("kind") == "shipping_refund"
    ]
    taxes = [_optional(line, "total_tax", currency) for line in refund.items("refund_line_items")]
    return max(0, paid_back_cents - sum(shipping) - sum(taxes))


def _optional(fields: Fields, name: str, currency: str) -> int:
    return fields.magnitude(name, currency=currency) if fields.value(name) is not None else 0


def _dispute(dispute: Fields) -> ShopEvent:
    currency = dispute.currency("currency")
    is_won = dispute.text("status") == "won"
    return ShopEvent(
        kind=EventKind.DISPUTE_WON if is_won else EventKind.DISPUTED,
        order_id=dispute.id("order_id"),
        amount_cents=dispute.decimal("amount", currency=currency),
        currency=currency,
        refund_id=f"dispute/{dispute.id('id')}",
    )


KIND: Final = WebhookKind(
    name="shopify",
    title="Shopify",
    verify=verify,
    read=read,
    parameter="attributes[discord_id]",
    steps=(
        (
            "Shopify admin, Settings, Notifications, Webhooks: Create webhook for each of these events, format JSON,"
            " with the address above: Order payment, Order cancellation, Refund create, Dispute create, Dispute update."
        ),
        "Copy the signing secret that stands below the webhooks into the variable below.",
    ),
)
