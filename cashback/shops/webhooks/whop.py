"""Whop's events. Amounts are decimal numbers."""

from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts

WON: Final = frozenset({"won", "warning_closed"})


def payment_succeeded(payment: Fields, counts: Counts) -> ShopEvent:
    """Read a payment."""
    currency = payment.currency("currency")
    names = ("total", "final_amount")
    name = next((name for name in names if payment.value(name) is not None), "subtotal")
    amount_cents = payment.decimal(name, currency=currency)
    if counts is Counts.SUBTOTAL and payment.value("tax_amount") is not None:
        amount_cents = max(0, amount_cents - payment.decimal("tax_amount", currency=currency))
    accounts = [
        account.value("id")
        for account in payment.items("user", "social_accounts")
        if account.text("service") == "discord"
    ]
    return ShopEvent(
        kind=EventKind.PAID,
        order_id=payment.id("id"),
        amount_cents=amount_cents,
        currency=currency,
        buyer_id=buyer_of(payment.value("metadata", "discord_id"), *accounts),
        at=payment.moment("paid_at") or payment.moment("created_at"),
        email=payment.text("user", "email"),
    )


def refund(refund: Fields, _counts: Counts) -> ShopEvent | None:
    """Read one refund; None if it has not succeeded."""
    if refund.text("status") not in {"succeeded", "refunded"}:
        return None
    return _of_payment(refund, EventKind.REFUNDED)


def dispute(dispute: Fields, _counts: Counts) -> ShopEvent | None:
    """Read a dispute; None for a warning."""
    status = dispute.text("status") or ""
    if status.startswith("warning_") and status not in WON:
        return None
    return _of_payment(dispute, EventKind.DISPUTE_WON if status in WON else EventKind.DISPUTED)


def _of_payment(thing: Fields, kind: EventKind) -> ShopEvent:
    currency = thing.currency("currency")
    return ShopEvent(
        kind=kind,
        order_id=thing.id("payment", "id"),
        amount_cents=thing.decimal("amount", currency=currency),
        currency=currency,
        refund_id=thing.id("id"),
    )
