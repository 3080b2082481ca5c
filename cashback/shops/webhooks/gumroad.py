"""Gumroad: no signature, so the secret stands in the address that the shop is given. Everything is a form."""

import hmac
import re
from collections.abc import Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, UnreadableError, UnverifiedError, WebhookKind

DISCORD_FIELD: Final = re.compile(
    r"(?:url_params|custom_fields)\[discord[ _-]?(?:user[ _-]?)?id\]|discord[ _-]?(?:user[ _-]?)?id", re.IGNORECASE
)
TAKEN_BACK: Final = {
    "refund": EventKind.REFUNDED_IN_ALL,
    "dispute": EventKind.DISPUTED,
    "dispute_won": EventKind.DISPUTE_WON,
}


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Compare `?secret=…` in the address with the secret."""
    given = (delivery.query or {}).get("secret", "").encode(errors="replace")
    matches = [hmac.compare_digest(given, secret) for secret in secrets]
    if not any(matches):
        raise UnverifiedError("The address has no ?secret= with this shop's secret.")


def read(delivery: Delivery, _counts: Counts) -> Reading:
    """Read a sale, a refund or a dispute. Gumroad's price has no taxes, so both ways to count are the same."""
    sale = Fields.of_form(delivery.body, delivery.now)
    topic = sale.text("resource_name") or "sale"
    kind = TAKEN_BACK.get(topic)
    if topic == "sale":
        return _sale(sale)
    if kind is None:
        return Reading(topic=topic, remark="Cashback does not depend on events of this type.")
    if kind is EventKind.REFUNDED_IN_ALL and not sale.is_true("refunded"):
        raise UnreadableError(
            "Gumroad does not say how much of this sale was refunded: look at the sale there, and record the amount"
            " with `cashback refund ORDER --shop NAME`."
        )
    order_id = sale.id("sale_id")
    found = ShopEvent(
        kind=kind,
        order_id=order_id,
        currency=sale.currency("currency"),
        is_test=sale.is_true("test"),
        refund_id=None if kind is EventKind.REFUNDED_IN_ALL else f"dispute/{order_id}",
    )
    return Reading(topic=topic, events=(found,))


def _sale(sale: Fields) -> Reading:
    if sale.is_true("is_preorder_authorization"):
        return Reading(topic="sale", remark="A pre-order is not paid yet.")
    paid = ShopEvent(
        kind=EventKind.PAID,
        order_id=sale.id("sale_id"),
        amount_cents=sale.minor_units("price", currency=sale.currency("currency")),
        currency=sale.currency("currency"),
        is_test=sale.is_true("test"),
        buyer_id=buyer_of(*(sale.value(name) for name in sale.names() if DISCORD_FIELD.fullmatch(name))),
        at=sale.moment("sale_timestamp"),
        email=sale.text("email"),
        number=sale.text("order_number"),
    )
    return Reading(topic="sale", events=(paid,))


KIND: Final = WebhookKind(
    name="gumroad",
    title="Gumroad",
    verify=verify,
    read=read,
    is_secret_invented=True,
    parameter="discord_id",
    has_secret_in_address=True,
    steps=(
        (
            "Gumroad, Settings, Advanced, Ping: write the address above as ping endpoint. It holds the secret: keep"
            " it to yourself."
        ),
        (
            "Pings report sales only. For refunds and disputes, subscribe the same address to the resources refund,"
            " dispute and dispute_won with Gumroad's API (PUT /v2/resource_subscriptions)."
        ),
    ),
)
