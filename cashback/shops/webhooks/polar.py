"""Polar's events. Amounts are in minor units, the goods' without taxes."""

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts


def order_paid(order: Fields, counts: Counts) -> ShopEvent:
    """Read a paid order."""
    customer, currency = order.at("customer"), order.currency("currency")
    name = "net_amount" if counts is Counts.SUBTOTAL else "total_amount"
    return ShopEvent(
        kind=EventKind.PAID,
        order_id=order.id("id"),
        amount_cents=order.minor_units(name, currency=currency),
        currency=currency,
        buyer_id=buyer_of(
            order.value("metadata", "discord_id"),
            order.value("metadata", "reference_id"),
            order.value("custom_field_data", "discord_id"),
            customer.value("external_id"),
            customer.value("metadata", "discord_id"),
        ),
        at=order.moment("created_at"),
        email=customer.text("email"),
        number=order.text("invoice_number"),
    )


def refunded_in_all(order: Fields, counts: Counts) -> ShopEvent:
    """Read an order's refunds so far."""
    currency = order.currency("currency")
    refunded = order.minor_units("refunded_amount", currency=currency)
    if counts is Counts.TOTAL and order.value("refunded_tax_amount") is not None:
        refunded += order.minor_units("refunded_tax_amount", currency=currency)
    return ShopEvent(
        kind=EventKind.REFUNDED_IN_ALL,
        order_id=order.id("id"),
        amount_cents=None if order.text("status") == "refunded" else refunded,
        currency=currency,
    )


def refund(refund: Fields, counts: Counts) -> ShopEvent | None:
    """Read one refund; None if it has not succeeded."""
    if refund.text("status") != "succeeded":
        return None
    currency = refund.currency("currency")
    amount_cents = refund.minor_units("amount", currency=currency)
    if counts is Counts.TOTAL and refund.value("tax_amount") is not None:
        amount_cents += refund.minor_units("tax_amount", currency=currency)
    return ShopEvent(
        kind=EventKind.REFUNDED,
        order_id=refund.id("order_id"),
        amount_cents=amount_cents,
        currency=currency,
        refund_id=refund.id("id"),
    )
