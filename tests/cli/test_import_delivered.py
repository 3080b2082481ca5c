"""A connected shop's file and its deliveries name an order differently: it counts once, whichever comes first."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from cashback.services import AdminService
from cashback.shops.webhooks import KINDS
from cashback.shops.webhooks.kind import Counts, Delivery
from cli.context import Place, ledger
from tests.cli.conftest import Cashback
from tests.cli.shop_files import ONE, REFERRER, SHOPIFY, STRIPE, TWO, WOOCOMMERCE
from tests.conftest import rows

LEDGER = Path("cashback.db")
NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)
ORDERS = "SELECT order_id, buyer_id, amount_cents, refunded_cents FROM cashback_referral_purchases ORDER BY order_id"
SHOPS = {"hats": {"kind": "shopify"}, "cards": {"kind": "stripe"}, "foxes": {"kind": "woocommerce"}}


@pytest.fixture(autouse=True)
def new(folder: Path, new_ledger: Path, cashback: Cashback) -> None:
    """Start with connected shops, and a ledger in which two members were referred."""
    shutil.copyfile(new_ledger, folder / LEDGER)
    (folder / "config.json").write_text(json.dumps({"shops": SHOPS}))
    (folder / "r.csv").write_text(f"referrer_id,referred_id\n{REFERRER},{ONE}\n{REFERRER},{TWO}\n")
    assert cashback("import", "--referrals", "r.csv", "--referred-at", "always").code == 0


def deliver(shop: str, *bodies: object) -> None:
    """Record deliveries as the dashboard does after it has verified them."""

    async def record() -> None:
        settings = Place(database=str(LEDGER)).settings()
        async with ledger(settings) as database:
            service = AdminService(database, settings, lambda _number: 0)
            for body in bodies:
                delivery = Delivery(headers={}, body=json.dumps(body).encode(), now=NOW)
                reading = KINDS[settings.shops[shop].kind].read(delivery, Counts.SUBTOTAL)
                await service.record_delivery(
                    shop, body=delivery.body, topic=reading.topic, event_id=reading.event_id, events=reading.events
                )

    anyio.run(record)


def import_text(cashback: Cashback, text: str, shop: str) -> None:
    Path("shop.csv").write_text(text)
    answer = cashback("import", "shop.csv", "--shop", shop)
    assert answer.code == 0, answer.err


def shopify_order(number: int, member: int | None, price: str, **more: object) -> dict[str, object]:
    attributes = [] if member is None else [{"name": "discord_id", "value": str(member)}]
    order = {"id": number + 8_000, "name": f"#{number}", "currency": "USD", "financial_status": "paid", "test": False}
    order |= {"taxes_included": False, "subtotal_price": price, "total_price": price, "note_attributes": attributes}
    return order | {"processed_at": "2026-02-03T10:00:00Z", "refunds": [], "line_items": [], **more}


def shopify_refund(order_id: int, amount: str) -> dict[str, object]:
    taken = {"id": 1, "kind": "refund", "status": "success", "amount": amount, "currency": "USD", "test": False}
    return {"id": 77, "order_id": order_id, "refund_line_items": [], "order_adjustments": [], "transactions": [taken]}


DELIVERED = (shopify_order(1001, ONE, "100.00"), shopify_order(1002, TWO, "40.00"), shopify_order(1007, None, "30.00"))


@pytest.mark.parametrize("is_file_first", [True, False])
def test_shopify_order_in_a_file_and_a_delivery_counts_once(cashback: Cashback, is_file_first: bool) -> None:
    if is_file_first:
        import_text(cashback, SHOPIFY.text, "hats")
    deliver("hats", *DELIVERED)
    for _ in range(2):
        import_text(cashback, SHOPIFY.text, "hats")
        assert rows(LEDGER, ORDERS) == [("9001", ONE, 10_000, 0), ("9002", TWO, 4_000, 1_500)]
        assert rows(LEDGER, "SELECT order_id FROM cashback_unmatched_purchases") == [("9007",)]
    deliver("hats", shopify_refund(9001, "25.00"), shopify_order(1001, ONE, "100.00"))
    assert rows(LEDGER, ORDERS)[0] == ("9001", ONE, 10_000, 2_500)
    assert cashback("verify").code == 0


def test_order_that_a_file_brought_before_the_shop_was_connected_counts_once(cashback: Cashback) -> None:
    Path("config.json").write_text("{}")
    import_text(cashback, SHOPIFY.text, "hats")
    Path("config.json").write_text(json.dumps({"shops": SHOPS}))
    refund = shopify_refund(9001, "25.00")
    deliver("hats", shopify_order(1001, ONE, "100.00", refunds=[refund]), *DELIVERED[1:])
    import_text(cashback, SHOPIFY.text, "hats")
    assert rows(LEDGER, ORDERS) == [("1001", ONE, 10_000, 2_500), ("1002", TWO, 4_000, 1_500)]
    assert rows(LEDGER, "SELECT order_id FROM cashback_unmatched_purchases") == [("1007",)]


def test_claimed_number_of_a_files_guest_is_the_one_that_the_buyer_sees(cashback: Cashback) -> None:
    import_text(cashback, SHOPIFY.text, "hats")

    async def claim() -> bool:
        settings = Place(database=str(LEDGER)).settings()
        async with ledger(settings) as database:
            return await AdminService(database, settings, lambda _number: 0).claim_order(TWO, "#1007")

    assert anyio.run(claim)
    assert ("9007", TWO, 3_000, 0) in rows(LEDGER, ORDERS)


@pytest.mark.parametrize("is_file_first", [True, False])
def test_stripe_payment_in_a_file_and_a_delivery_counts_once(cashback: Cashback, is_file_first: bool) -> None:
    header, *lines = STRIPE.text.splitlines()
    text = f"{header},PaymentIntent ID\n" + "".join(f"{line},pi_{number}\n" for number, line in enumerate(lines, 1))
    session = {"payment_intent": "pi_2", "payment_status": "paid", "amount_total": 5_000, "currency": "usd"}
    session |= {"client_reference_id": str(TWO), "created": 1_770_112_800, "object": "checkout.session", "id": "cs_1"}
    event = {"id": "evt_1", "type": "checkout.session.completed", "livemode": True, "data": {"object": session}}
    if is_file_first:
        import_text(cashback, text, "cards")
    deliver("cards", event)
    import_text(cashback, text, "cards")
    assert rows(LEDGER, ORDERS) == [("pi_1", ONE, 120_000, 0), ("pi_2", TWO, 5_000, 2_000), ("pi_7", ONE, 1_000, 1_000)]


@pytest.mark.parametrize("is_file_first", [True, False])
def test_woocommerce_refund_in_a_file_and_a_delivery_takes_back_once(cashback: Cashback, is_file_first: bool) -> None:
    order = {"id": 701, "number": "701", "status": "processing", "currency": "USD", "total": "1012.50"}
    order |= {"date_paid_gmt": "2026-02-03T10:00:00", "meta_data": [{"key": "discord_id", "value": str(ONE)}]}
    order |= {"refunds": [{"id": 5, "total": "-12.50"}]}
    if is_file_first:
        import_text(cashback, WOOCOMMERCE.text, "foxes")
    deliver("foxes", order)
    import_text(cashback, WOOCOMMERCE.text, "foxes")
    assert rows(LEDGER, ORDERS) == [("701", ONE, 101_250, 1_250)]
