"""The own API: a shop's program sends one purchase or refund in each request; see docs/howto/connect-api.md."""

from collections.abc import Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, UnverifiedError, WebhookKind
from cashback.shops.webhooks.signing import hexadecimal, require_match, require_recent

VERSION: Final = "v1="


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Check `Cashback-Signature: v1=…`, a signature over the timestamp and the body."""
    timestamp, signature = delivery.header("Cashback-Timestamp"), delivery.header("Cashback-Signature")
    if not signature.startswith(VERSION):
        raise UnverifiedError(f"Cashback-Signature does not begin with {VERSION}.")
    message = timestamp.encode(errors="replace") + b"." + delivery.body
    given = [signature.removeprefix(VERSION).lower()]
    require_match(given, (hexadecimal(secret, message) for secret in secrets))
    require_recent(timestamp, delivery.now)


def read(delivery: Delivery, _counts: Counts) -> Reading:
    """Read an event as this program names it."""
    body = Fields.of_json(delivery.body, delivery.now)
    topic = body.id("event")
    if topic not in set(EventKind):
        return Reading(topic=topic, remark="Cashback does not depend on events of this type.")
    kind = EventKind(topic)
    is_whole = kind is not EventKind.PAID and body.value("amount_cents") is None
    order_id = body.id("order_id")
    refund_id = body.text("refund_id")
    if kind in {EventKind.DISPUTED, EventKind.DISPUTE_WON}:
        refund_id = refund_id or f"dispute/{order_id}"
    found = ShopEvent(
        kind=kind,
        order_id=order_id,
        amount_cents=None if is_whole else body.minor_units("amount_cents"),
        currency=body.currency("currency"),
        is_test=body.is_true("test"),
        buyer_id=buyer_of(body.value("discord_id")),
        refund_id=body.id("refund_id") if kind is EventKind.REFUNDED else refund_id,
        at=body.moment("at"),
        email=body.text("email"),
    )
    return Reading(topic=topic, event_id=body.text("event_id"), events=(found,))


KIND: Final = WebhookKind(
    name="api",
    title="Your own program",
    verify=verify,
    read=read,
    is_secret_invented=True,
    steps=(
        (
            "Send each event as JSON to the address above: event (paid, refunded, refunded_in_all, disputed,"
            " dispute_won), order_id, amount_cents, currency, discord_id, at."
        ),
        (
            "Sign it: Cashback-Timestamp holds the seconds since 1970, Cashback-Signature is v1= and the hexadecimal"
            " HMAC-SHA256 of TIMESTAMP.BODY with the secret of the variable below."
        ),
    ),
)
