"""Ko-fi: no signature, but a token inside the form. It reports payments only; refunds are recorded by an admin."""

import hmac
from collections.abc import Sequence
from typing import Final

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.ids import only_id
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, UnreadableError, UnverifiedError, WebhookKind

TYPES: Final = frozenset({"Donation", "Subscription", "Commission", "Shop Order"})
TEST_PAYMENT: Final = "00000000-1111-2222-3333-444444444444"
"""The payment that Ko-fi's button for a test sends."""


def verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Compare the token in the form with the secret."""
    try:
        token = (_data_of(delivery).text("verification_token") or "").encode(errors="replace")
    except UnreadableError as error:
        raise UnverifiedError("The body is not a form with the verification token of Ko-fi.") from error
    matches = [hmac.compare_digest(token, secret) for secret in secrets]
    if not any(matches):
        raise UnverifiedError("The verification token is not this shop's secret.")


def read(delivery: Delivery, _counts: Counts) -> Reading:
    """Read a payment. Ko-fi reports one amount, so both ways to count are the same."""
    payment = _data_of(delivery)
    topic, event_id = payment.id("type"), payment.id("message_id")
    if topic not in TYPES:
        remark = "Cashback does not depend on deliveries of this type."
        return Reading(topic=topic, event_id=event_id, remark=remark)
    currency, order_id = payment.currency("currency"), payment.id("kofi_transaction_id")
    paid = ShopEvent(
        kind=EventKind.PAID,
        order_id=order_id,
        amount_cents=payment.decimal("amount", currency=currency),
        currency=currency,
        is_test=order_id == TEST_PAYMENT,
        buyer_id=buyer_of(payment.value("discord_userid"), only_id(payment.text("message") or "")),
        at=payment.moment("timestamp"),
        email=payment.text("email"),
    )
    return Reading(topic=topic, event_id=event_id, events=(paid,))


def _data_of(delivery: Delivery) -> Fields:
    data = Fields.of_form(delivery.body, delivery.now).text("data")
    if data is None:
        raise UnreadableError("The form has no field data.")
    return Fields.of_json(data, delivery.now)


KIND: Final = WebhookKind(
    name="ko-fi",
    title="Ko-fi",
    verify=verify,
    read=read,
    steps=(
        "Ko-fi, Settings, API (ko-fi.com/manage/webhooks): write the address above as webhook URL.",
        "Below Advanced, copy the verification token into the variable below.",
        "Ko-fi reports no refunds: record them with `cashback refund ORDER --shop NAME`.",
    ),
)
