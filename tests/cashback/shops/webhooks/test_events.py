"""What deliveries mean: the order, the cents that count, the currency, the buyer, and whether it is a test."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.webhooks import KINDS
from cashback.shops.webhooks.currencies import share_of, to_minor_units
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, UnreadableError
from sandbox.shop import KINDS as SANDBOX_KINDS
from sandbox.shop import Order, Request, sender_of
from sandbox.shop.orders import START, Refund
from sandbox.shop.senders import order_id_of

NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)
SECRET = "s" * 40
MEMBER = 222222222222222222
ORDER = Order(number=1001, goods_cents=10_000, tax_cents=1_900, discord_id=MEMBER)
ONE_AMOUNT = {"ko-fi", "gumroad", "square"}
"""Systems that report one amount, with taxes."""


def read(kind: str, request: Request, counts: Counts = Counts.SUBTOTAL) -> Reading:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return KINDS[kind].read(Delivery(headers=headers, body=request.body, now=NOW), counts)


def read_json(kind: str, value: object, counts: Counts = Counts.SUBTOTAL) -> Reading:
    body = json.dumps(value).encode()
    return read(kind, sender_of(kind, SECRET, "").request(body, NOW, "d1"), counts)


def only(reading: Reading) -> ShopEvent:
    [event] = reading.events
    return event


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
@pytest.mark.parametrize("counts", Counts)
def test_paid_order(kind: str, counts: Counts) -> None:
    event = only(read(kind, sender_of(kind, SECRET, "").paid(ORDER, NOW), counts))
    with_taxes = kind in ONE_AMOUNT or (counts is Counts.TOTAL and kind != "api")
    assert event == ShopEvent(
        kind=EventKind.PAID,
        order_id=order_id_of(kind, ORDER),
        amount_cents=11_900 if with_taxes else 10_000,
        currency="USD",
        buyer_id=MEMBER,
        at=START,
        email=None if kind == "paddle" else "buyer@example.com",
        number={"shopify": "#1001", "woocommerce": "1001"}.get(kind),
        file_id={"shopify": "#1001"}.get(kind),
    )


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_order_of_a_guest_has_no_buyer(kind: str) -> None:
    guest = Order(number=7, goods_cents=500)
    assert only(read(kind, sender_of(kind, SECRET, "").paid(guest, NOW))).buyer_id is None


@pytest.mark.parametrize(
    "kind", [kind for kind in SANDBOX_KINDS if kind not in {"tebex", "standard-webhooks", "paddle", "square"}]
)
def test_test_order_is_marked_as_one(kind: str) -> None:
    order = Order(number=7, goods_cents=500, is_test=True)
    assert only(read(kind, sender_of(kind, SECRET, "").paid(order, NOW))).is_test


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_whole_refund_takes_the_whole_order(kind: str) -> None:
    sender = sender_of(kind, SECRET, "")
    request = sender.refunded(ORDER, Refund(number=1, cents=11_900, in_all_cents=11_900), NOW)
    if request is None:
        return
    events = read(kind, request).events
    taken = [event for event in events if event.kind is not EventKind.PAID]
    assert {event.order_id for event in taken} == {order_id_of(kind, ORDER)}
    whole = [event.amount_cents is None or event.amount_cents >= 10_000 for event in taken]
    assert any(whole)


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_dispute_and_its_end_name_the_same_order_and_dispute(kind: str) -> None:
    sender = sender_of(kind, SECRET, "")
    opened, won = sender.disputed(ORDER, NOW), sender.dispute_won(ORDER, NOW)
    if opened is None or won is None:
        return
    first, last = only(read(kind, opened)), only(read(kind, won))
    assert (first.kind, last.kind) == (EventKind.DISPUTED, EventKind.DISPUTE_WON)
    assert first.order_id == last.order_id == order_id_of(kind, ORDER)
    assert first.refund_id == last.refund_id is not None


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_retry_has_the_same_event_id_as_the_first_attempt(kind: str) -> None:
    sender = sender_of(kind, SECRET, "")
    later = NOW.replace(minute=3)
    assert read(kind, sender.paid(ORDER, NOW)).event_id == read(kind, sender.paid(ORDER, later)).event_id


def stripe_event(topic: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {"id": "evt_1", "type": topic, "livemode": True, "data": {"object": thing}}


INVOICE = {
    "id": "in_1",
    "amount_paid": 1_190,
    "currency": "usd",
    "created": 1_700_000_000,
    "customer_email": "buyer@example.com",
    "parent": {"subscription_details": {"metadata": {"discord_id": str(MEMBER)}}},
}


@pytest.mark.parametrize(
    ("more", "order_id", "cents"),
    [
        ({"payment_intent": "pi_9", "tax": 190}, "pi_9", 1_000),
        (
            {"payments": {"data": [{"payment": {"payment_intent": "pi_9"}}]}, "total_taxes": [{"amount": 190}]},
            "pi_9",
            1_000,
        ),
        (
            {"payment_intent": {"id": "pi_9", "object": "payment_intent"}, "total_tax_amounts": [{"amount": 190}]},
            "pi_9",
            1_000,
        ),
        ({"tax": None}, "in_1", 1_190),
    ],
)
def test_stripe_invoice_of_old_and_new_versions(more: dict[str, Any], order_id: str, cents: int) -> None:
    event = only(read_json("stripe", stripe_event("invoice.paid", {**INVOICE, **more})))
    assert (event.order_id, event.amount_cents, event.buyer_id) == (order_id, cents, MEMBER)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("needs_response", EventKind.DISPUTED),
        ("lost", EventKind.DISPUTED),
        ("won", EventKind.DISPUTE_WON),
        ("warning_closed", EventKind.DISPUTE_WON),
        ("warning_needs_response", None),
    ],
)
def test_stripe_dispute(status: str, kind: EventKind | None) -> None:
    dispute = {"id": "dp_1", "charge": "ch_1", "payment_intent": "pi_1", "amount": 500, "currency": "usd"}
    reading = read_json("stripe", stripe_event("charge.dispute.closed", {**dispute, "status": status}))
    assert [event.kind for event in reading.events] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ({"payment_status": "unpaid"}, "not paid yet"),
        ({"payment_status": "no_payment_required"}, "not paid yet"),
        ({"mode": "subscription"}, "paid invoices"),
    ],
)
def test_stripe_checkout_that_does_not_count(change: dict[str, Any], remark: str) -> None:
    event = json.loads(sender_of("stripe", SECRET, "").paid(ORDER, NOW).body)
    event["data"]["object"].update(change)
    reading = read_json("stripe", event)
    assert not reading.events
    assert remark in str(reading.remark)


def test_stripe_amount_in_a_currency_that_it_writes_with_two_decimals_more() -> None:
    event = json.loads(sender_of("stripe", SECRET, "").paid(ORDER, NOW).body)
    event["data"]["object"].update(currency="isk", amount_total=500_00, total_details={})
    assert only(read_json("stripe", event)).amount_cents == 500


@pytest.mark.parametrize("kind", [kind for kind in SANDBOX_KINDS if kind != "api"])
@pytest.mark.parametrize("currency", ["HUF", "COP", "IDR"])
def test_minor_units_of_a_shop_are_not_those_of_the_ledger(kind: str, currency: str) -> None:
    """Shops write these with two decimals, and the ledger counts them without."""
    order = Order(number=1, goods_cents=500_000, currency=currency)
    assert only(read(kind, sender_of(kind, SECRET, "").paid(order, NOW))).amount_cents == 5_000


@pytest.mark.parametrize(
    ("currency", "cents"), [("jpy", 5_000), ("kwd", 5_000), ("mga", 5_000), ("ugx", 50), ("eur", 5_000)]
)
def test_stripe_amounts_have_the_decimals_that_stripe_gives_them(currency: str, cents: int) -> None:
    event = json.loads(sender_of("stripe", SECRET, "").paid(ORDER, NOW).body)
    event["data"]["object"].update(currency=currency, amount_total=5_000, total_details={})
    assert only(read_json("stripe", event)).amount_cents == cents


def shopify_order(**change: object) -> dict[str, Any]:
    return {**json.loads(sender_of("shopify", SECRET, "").paid(ORDER, NOW).body), **change}


def test_shopify_cancelled_order_is_taken_back() -> None:
    events = read_json("shopify", shopify_order(cancelled_at="2026-01-06T00:00:00Z")).events
    assert [event.kind for event in events] == [EventKind.PAID, EventKind.REFUNDED_IN_ALL]


@pytest.mark.parametrize("status", ["pending", "authorized", "voided", "partially_paid", "expired", "unpaid"])
def test_shopify_unpaid_order_does_not_count(status: str) -> None:
    assert not read_json("shopify", shopify_order(financial_status=status)).events


def test_shopify_topic_header_does_not_matter() -> None:
    """The header is not signed: who repeats a paid order as a cancelled one changes nothing."""
    request = sender_of("shopify", SECRET, "").paid(ORDER, NOW)
    lied = Request(body=request.body, headers={**request.headers, "X-Shopify-Topic": "orders/cancelled"})
    assert only(read("shopify", lied)).kind is EventKind.PAID


def test_shopify_prices_that_include_taxes_count_without_them() -> None:
    lines = [{"id": 1, "tax_lines": [{"price": "15.97"}]}]
    order = shopify_order(taxes_included=True, subtotal_price="100.00", line_items=lines)
    assert only(read_json("shopify", order)).amount_cents == 8_403


def test_shopify_refund_without_its_shipping_and_taxes() -> None:
    refund = {
        "id": 5,
        "order_id": 1001,
        "refund_line_items": [{"subtotal": "50.00", "total_tax": "9.50"}],
        "order_adjustments": [{"kind": "shipping_refund", "amount": "-5.00", "tax_amount": "-0.95"}],
        "transactions": [
            {"kind": "refund", "status": "success", "amount": "65.45", "currency": "USD"},
            {"kind": "refund", "status": "failure", "amount": "65.45", "currency": "USD"},
        ],
    }
    assert only(read_json("shopify", refund)).amount_cents == 5_000
    assert only(read_json("shopify", refund, Counts.TOTAL)).amount_cents == 6_545


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize(
    ("has_both", "counts", "taken"),
    [
        (True, Counts.SUBTOTAL, (5_000, "USD")),
        (True, Counts.TOTAL, (5_950, "USD")),
        (False, Counts.TOTAL, (5_236, "EUR")),
    ],
)
def test_shopify_refund_in_the_buyers_currency_is_not_taken_for_the_shops(
    in_order: bool, has_both: bool, counts: Counts, taken: tuple[int, str]
) -> None:
    """What is in another currency is excluded later, with that reason."""
    sets = {"subtotal_set": {"shop_money": {"amount": "50.00", "currency_code": "USD"}}}
    sets |= {"total_tax_set": {"shop_money": {"amount": "9.50", "currency_code": "USD"}}}
    paid_back = {"kind": "refund", "status": "success", "amount": "52.36", "currency": "EUR"}
    refund = {"id": 5, "order_id": 1001, "refund_line_items": [sets if has_both else {}], "transactions": [paid_back]}
    event = read_json("shopify", shopify_order(refunds=[refund]) if in_order else refund, counts).events[-1]
    assert (event.amount_cents, event.currency) == taken


def test_shopify_restocked_order_without_a_payment_back_changes_nothing() -> None:
    assert not read_json("shopify", {"id": 5, "order_id": 1, "refund_line_items": [], "transactions": []}).events


@pytest.mark.parametrize(("status", "kinds"), [("pending", 0), ("on-hold", 0), ("checkout-draft", 0), ("completed", 1)])
def test_woocommerce_status_decides(status: str, kinds: int) -> None:
    order = json.loads(sender_of("woocommerce", SECRET, "").paid(ORDER, NOW).body)
    assert len(read_json("woocommerce", {**order, "status": status}).events) == kinds


@pytest.mark.parametrize("status", ["cancelled", "refunded", "failed", "trash"])
def test_woocommerce_order_that_ended_is_taken_back(status: str) -> None:
    order = json.loads(sender_of("woocommerce", SECRET, "").paid(ORDER, NOW).body)
    event = only(read_json("woocommerce", {**order, "status": status}))
    assert (event.kind, event.amount_cents) == (EventKind.REFUNDED_IN_ALL, None)


@pytest.mark.parametrize("status", ["cancelled", "failed", "trash"])
def test_woocommerce_order_that_was_never_paid_is_marked_as_such(status: str) -> None:
    order = json.loads(sender_of("woocommerce", SECRET, "").paid(ORDER, NOW).body)
    assert not only(read_json("woocommerce", {**order, "status": status})).is_of_unpaid
    assert only(read_json("woocommerce", {**order, "status": status, "date_paid_gmt": None})).is_of_unpaid


def test_woocommerce_partial_refund_takes_its_share_of_the_goods() -> None:
    request = sender_of("woocommerce", SECRET, "").refunded(
        ORDER, Refund(number=4, cents=5_950, in_all_cents=5_950), NOW
    )
    assert request is not None
    assert [event.amount_cents for event in read("woocommerce", request).events] == [10_000, 5_000]


def test_woocommerce_ping_is_a_greeting() -> None:
    kind = KINDS["woocommerce"]
    assert kind.greeting is not None
    assert kind.greeting(Delivery(headers={}, body=b"webhook_id=12", now=NOW))
    assert not kind.greeting(Delivery(headers={}, body=b"webhook_id=12&x=1", now=NOW))


def test_tebex_validation_is_echoed() -> None:
    reading = read_json("tebex", {"id": "abc-1", "type": "validation.webhook", "date": "2026-01-01", "subject": {}})
    assert reading.answer is not None
    assert json.loads(reading.answer) == {"id": "abc-1"}


@pytest.mark.parametrize(
    ("text", "cents"), [("1.15", 115), ("4.35", 435), ("0.29", 29), ("8.2", 820), ("1e1", 1_000), ("3", 300)]
)
def test_tebex_decimal_numbers_stay_exact(text: str, cents: int) -> None:
    body = sender_of("tebex", SECRET, "").paid(ORDER, NOW).body.replace(b'"amount":119.0', b'"amount":' + text.encode())
    headers = sender_of("tebex", SECRET, "").request(body, NOW, "d").headers
    assert only(read("tebex", Request(body=body, headers=headers), Counts.TOTAL)).amount_cents == cents


@pytest.mark.parametrize(
    "text", ["1e999999999", "1e-999999999", "1.005", "1e16", "-1", "true", "null", '"1e1"', '"1,00"']
)
def test_tebex_number_that_is_no_amount_is_unreadable(text: str) -> None:
    body = sender_of("tebex", SECRET, "").paid(ORDER, NOW).body.replace(b'"amount":119.0', b'"amount":' + text.encode())
    with pytest.raises(UnreadableError):
        read("tebex", Request(body=body, headers={}), Counts.TOTAL)


@pytest.mark.parametrize("custom", ['{"discord_id": "222222222222222222"}', {"discord_id": str(MEMBER)}])
def test_tebex_custom_data_as_text_or_object(custom: object) -> None:
    event = json.loads(sender_of("tebex", SECRET, "").paid(ORDER, NOW).body)
    event["subject"]["products"] = [{"custom": None}, {"custom": "{broken"}, {"custom": custom}]
    assert only(read_json("tebex", event)).buyer_id == MEMBER


@pytest.mark.parametrize(
    ("change", "has_event"),
    [({"status": "approved"}, True), ({"status": "pending_approval"}, False), ({"action": "credit"}, False)],
)
def test_paddle_adjustment_counts_once_it_is_approved(change: dict[str, str], has_event: bool) -> None:
    sender = sender_of("paddle", SECRET, "")
    request = sender.refunded(ORDER, Refund(number=1, cents=5_950, in_all_cents=5_950), NOW)
    assert request is not None
    event = json.loads(request.body)
    event["data"].update(change)
    events = read_json("paddle", event).events
    assert [event.amount_cents for event in events] == ([5_000] if has_event else [])


def test_gumroad_partial_refund_is_said_not_guessed() -> None:
    body = urlencode({"resource_name": "refund", "sale_id": "s", "refunded": "false", "currency": "usd"}).encode()
    with pytest.raises(UnreadableError, match="cashback refund"):
        read("gumroad", Request(body=body, headers={}))


@pytest.mark.parametrize("field", ["url_params[discord_id]", "custom_fields[Discord ID]", "Discord ID", "discord_id"])
def test_gumroad_discord_id_in_each_place(field: str) -> None:
    form = {"sale_id": "s", "price": "500", "currency": "usd", field: str(MEMBER)}
    assert only(read("gumroad", Request(body=urlencode(form).encode(), headers={}))).buyer_id == MEMBER


def test_lemon_squeezy_first_payment_of_a_subscription_counts_once() -> None:
    order = json.loads(sender_of("lemon-squeezy", SECRET, "").paid(ORDER, NOW).body)
    order["meta"]["event_name"] = "subscription_payment_success"
    order["data"]["type"] = "subscription-invoices"
    order["data"]["attributes"]["billing_reason"] = "renewal"
    assert only(read_json("lemon-squeezy", order)).order_id == "subscription-invoice/1001"
    order["data"]["attributes"]["billing_reason"] = "initial"
    assert not read_json("lemon-squeezy", order).events


def test_lemon_squeezy_partial_refund_takes_its_share_of_the_goods() -> None:
    sender = sender_of("lemon-squeezy", SECRET, "")
    request = sender.refunded(ORDER, Refund(number=1, cents=5_950, in_all_cents=5_950), NOW)
    assert request is not None
    assert only(read("lemon-squeezy", request)).amount_cents == 5_000


WHOP = {"id": "pay_1", "total": 11.9, "tax_amount": 1.9, "currency": "usd", "metadata": {"discord_id": str(MEMBER)}}


def test_whop_payment_refund_and_dispute_name_the_payment() -> None:
    paid = only(read_json("standard-webhooks", {"type": "payment.succeeded", "data": WHOP}))
    assert (paid.order_id, paid.amount_cents, paid.buyer_id) == ("pay_1", 1_000, MEMBER)
    part = {"id": "r1", "amount": 5, "currency": "usd", "status": "succeeded", "payment": {"id": "pay_1"}}
    refund = only(read_json("standard-webhooks", {"type": "refund.created", "data": part}))
    assert (refund.kind, refund.order_id, refund.amount_cents) == (EventKind.REFUNDED, "pay_1", 500)
    won = only(read_json("standard-webhooks", {"type": "dispute.updated", "data": {**part, "status": "won"}}))
    assert won.kind is EventKind.DISPUTE_WON
    pending = read_json("standard-webhooks", {"type": "refund.created", "data": {**part, "status": "pending"}})
    assert not pending.events


@pytest.mark.parametrize(
    "value", [MEMBER, 2.2e17, None, "", "42", "0", "-222222222222222222", "22222222222222222x", [], {}]
)
def test_value_that_is_not_an_id_as_text_is_no_buyer(value: object) -> None:
    event = json.loads(sender_of("stripe", SECRET, "").paid(ORDER, NOW).body)
    event["data"]["object"]["client_reference_id"] = value
    assert only(read_json("stripe", event)).buyer_id is None


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_unknown_event_changes_nothing(kind: str) -> None:
    reading: Reading
    if kind == "ko-fi":
        data = json.dumps({"type": "Something new", "message_id": "1"})
        reading = read(kind, Request(body=urlencode({"data": data}).encode(), headers={}))
    elif kind == "gumroad":
        reading = read(kind, Request(body=b"resource_name=cancellation", headers={}))
    else:
        names = dict.fromkeys(("type", "event_type", "event"), "something.new")
        reading = read_json(kind, {"id": "1", "event_id": "1", "meta": {"event_name": "new"}, **names})
    assert not reading.events
    assert reading.remark


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
@given(body=st.binary(max_size=200))
def test_any_body_is_read_or_refused(kind: str, body: bytes) -> None:
    with suppress(UnreadableError):
        read(kind, sender_of(kind, SECRET, "").request(body, NOW, "d1"))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", [kind for kind in SANDBOX_KINDS if kind not in {"ko-fi", "gumroad"}])
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    event = json.loads(sender_of(kind, SECRET, "").paid(ORDER, NOW).body)
    place: Any = event
    while True:
        names = range(len(place)) if isinstance(place, list) else sorted(place)
        if not names:
            return
        name = data.draw(st.sampled_from(list(names)))
        if not isinstance(place[name], dict | list) or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(JSON_VALUES)
    try:
        for found in read_json(kind, event).events:
            assert found.amount_cents is None or 0 <= found.amount_cents <= 10**12
            assert found.buyer_id is None or 10**16 <= found.buyer_id < 2**63
    except UnreadableError:
        pass


AMOUNTS = re.compile(rb"((?<![0-9.-])|%22)((?:119|100)(?:\.00?|00)?(?![0-9.]))")


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_order_below_zero_is_unreadable(kind: str) -> None:
    sender = sender_of(kind, SECRET, "")
    request = sender.paid(ORDER, NOW)
    below, count = AMOUNTS.subn(rb"\1-\2", request.body)
    assert count
    with pytest.raises(UnreadableError):
        read(kind, sender.request(below, NOW, "d1"))


def test_zero_with_a_minus_is_zero() -> None:
    order = {"id": 1001, "currency": "USD", "status": "processing", "total": "100.00", "total_tax": "-0.00"}
    event = only(read_json("woocommerce", {**order, "date_paid_gmt": "2026-03-01T10:00:00"}))
    assert event.amount_cents == 10_000


@pytest.mark.parametrize("tax", ["abc", "1.5", "9" * 5_000, -1, [], True])
def test_stripe_invoice_with_a_tax_that_is_no_amount_is_unreadable(tax: object) -> None:
    invoice = {"id": "in_1", "amount_paid": 1_000, "currency": "usd", "created": 1_770_112_800, "tax": tax}
    event = {"id": "evt_1", "type": "invoice.paid", "livemode": True, "data": {"object": invoice}}
    with pytest.raises(UnreadableError):
        read_json("stripe", event)


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [("1.15", "USD", 115), ("500", "JPY", 500), ("1.234", "KWD", 1234), ("1.155", "USD", None), ("1.5", "JPY", None)],
)
def test_minor_units(amount: str, currency: str, units: int | None) -> None:
    assert to_minor_units(Decimal(amount), currency) == units


def test_share_of_the_whole_is_the_whole() -> None:
    assert share_of(11_900, counted_cents=10_000, total_cents=11_900) == 10_000
    assert share_of(5_950, counted_cents=10_000, total_cents=11_900) == 5_000
    assert share_of(5, counted_cents=0, total_cents=0) == 5
