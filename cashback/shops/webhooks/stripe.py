"""Stripe: an order is a payment intent, because that is what refunds and disputes name."""

from collections.abc import Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, UnreadableError, UnverifiedError, WebhookKind
from cashback.shops.webhooks.signing import hexadecimal, parts_of, require_match, require_recent

CHECKOUTS: Final = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
DISPUTES: Final = frozenset({"created", "updated", "closed", "funds_withdrawn", "funds_reinstated"})
WON: Final = frozenset({"won", "warning_closed", "prevented"})
DECIMALS_APART: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Currencies whose amounts Stripe writes with other decimals than ISO 4217."""


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `Stripe-Signature: t=…,v1=…`, a signature over the timestamp and the body."""
    parts = parts_of(delivery.header("Stripe-Signature"), ",")
    if not parts.get("t") or not parts.get("v1"):
        raise UnverifiedError("Stripe-Signature has no t or no v1.")
    message = parts["t"][0].encode(errors="replace") + b"." + delivery.body
    require_match(parts["v1"], (hexadecimal(secret, message) for secret in secrets))
    require_recent(parts["t"][0], delivery.now)


def read(delivery: Delivery, counts: Counts) -> Reading:
    """Read paid checkouts, paid invoices, refunds and disputes."""
    event = Fields.of_json(delivery.body, delivery.now)
    topic, event_id, thing = event.id("type"), event.id("id"), event.at("data", "object")
    is_test = not event.is_true("livemode")
    found: ShopEvent | str = "Cashback does not depend on events of this type."
    if topic in CHECKOUTS:
        found = _checkout(thing, counts, is_test=is_test)
    elif topic in {"invoice.paid", "invoice.payment_succeeded"}:
        found = _invoice(thing, counts, is_test=is_test)
    elif topic == "charge.refunded":
        found = _refund(thing, is_test=is_test)
    elif topic.startswith("charge.dispute.") and topic.rpartition(".")[2] in DISPUTES:
        found = _dispute(thing, topic, is_test=is_test)
    if isinstance(found, str):
        return Reading(topic=topic, event_id=event_id, remark=found)
    return Reading(topic=topic, event_id=event_id, events=(found,))


def _checkout(session: Fields, counts: Counts, *, is_test: bool) -> ShopEvent | str:
    if session.text("mode") == "subscription":
        return "A subscription's payments are reported as paid invoices."
    if session.text("payment_status") != "paid":
        return "The checkout is not paid yet."
    apart = [] if counts is Counts.TOTAL else ["amount_tax", "amount_shipping"]
    return ShopEvent(
        kind=EventKind.PAID,
        order_id=_order_of(session, "payment_intent", "id"),
        amount_cents=_amount(session, "amount_total", *(("total_details", name) for name in apart)),
        currency=session.currency("currency"),
        is_test=is_test,
        buyer_id=buyer_of(session.value("client_reference_id"), session.value("metadata", "discord_id")),
        at=session.moment("created"),
        email=session.text("customer_details", "email") or session.text("customer_email"),
    )


def _invoice(invoice: Fields, counts: Counts, *, is_test: bool) -> ShopEvent:
    paid = _amount(invoice, "amount_paid")
    if counts is Counts.SUBTOTAL:
        taxes = [*invoice.items("total_taxes"), *invoice.items("total_tax_amounts")]
        currency = invoice.currency("currency")
        tax = sum(_units(tax, "amount", currency=currency) for tax in taxes)
        if not taxes and invoice.value("tax") is not None:
            tax = _units(invoice, "tax", currency=currency)
        paid = max(0, paid - tax)
    payments = [payment.at("payment") for payment in invoice.items("payments", "data")]
    named = [payment.value("payment_intent") for payment in payments]
    intents = {"payment_intent": invoice.value("payment_intent") or next(filter(None, named), None)}
    metadata = [("metadata",), ("subscription_details", "metadata")]
    metadata.append(("parent", "subscription_details", "metadata"))
    lines = [line.value("metadata", "discord_id") for line in invoice.items("lines", "data")]
    return ShopEvent(
        kind=EventKind.PAID,
        order_id=_order_of(Fields(intents, invoice.now), "payment_intent")
        if any(intents.values())
        else invoice.id("id"),
        amount_cents=paid,
        currency=invoice.currency("currency"),
        is_test=is_test,
        buyer_id=buyer_of(*(invoice.value(*path, "discord_id") for path in metadata), *lines),
        at=invoice.moment("status_transitions", "paid_at") or invoice.moment("created"),
        email=invoice.text("customer_email"),
    )


def _refund(charge: Fields, *, is_test: bool) -> ShopEvent:
    refunded = _amount(charge, "amount_refunded")
    return ShopEvent(
        kind=EventKind.REFUNDED_IN_ALL,
        order_id=_order_of(charge, "payment_intent", "id"),
        amount_cents=None if refunded >= _amount(charge, "amount") else refunded,
        currency=charge.currency("currency"),
        is_test=is_test,
    )


def _dispute(dispute: Fields, topic: str, *, is_test: bool) -> ShopEvent | str:
    status = dispute.text("status") or ""
    is_won = status in WON or topic.endswith("funds_reinstated")
    if status.startswith("warning_") and not is_won:
        return "An inquiry takes no money; a dispute may follow."
    return ShopEvent(
        kind=EventKind.DISPUTE_WON if is_won else EventKind.DISPUTED,
        order_id=_order_of(dispute, "payment_intent", "charge"),
        amount_cents=_amount(dispute, "amount"),
        currency=dispute.currency("currency"),
        is_test=is_test,
        refund_id=dispute.id("id"),
    )


def _order_of(thing: Fields, *names: str) -> str:
    """Return the first id; Stripe may send the whole object in place of its id."""
    for name in names:
        if isinstance(thing.value(name), dict):
            return thing.id(name, "id")
        if thing.value(name) is not None:
            return thing.id(name)
    raise UnreadableError(f"{names[0]} is missing.")


def _amount(thing: Fields, name: str, *apart: tuple[str, str]) -> int:
    """Return an amount without some of its parts."""
    currency = thing.currency("currency")
    parts = sum(_units(thing, *path, currency=currency) for path in apart if thing.value(*path) is not None)
    return max(0, _units(thing, name, currency=currency) - parts)


def _units(thing: Fields, *path: str, currency: str) -> int:
    return thing.minor_units(*path, currency=currency, apart=DECIMALS_APART)


KIND: Final = WebhookKind(
    name="stripe",
    title="Stripe",
    verify=verify,
    read=read,
    parameter="client_reference_id",
    steps=(
        "Stripe Dashboard, Developers (Workbench), Webhooks: Add destination, with the address above.",
        (
            "Events: checkout.session.completed, checkout.session.async_payment_succeeded, invoice.paid,"
            " charge.refunded, charge.dispute.created, charge.dispute.closed."
        ),
        "Copy the signing secret (whsec_…) into the variable below.",
    ),
)
