"""A connected shop's file and its deliveries name an order differently: it counts once, whichever comes first."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from cashback.services import AdminService
from cashback.shops.webhooks import KINDS
from cashback.shops.webhooks.kind import Counts, Delivery
from cli.context import Place, ledger
from tests.cli.conftest import Cashback
from tests.cli.shop_files import ONE, REFERRER, SHOPIFY, STRIPE, TWO, WOOCOMMERCE, Shape
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


def claim(member: int, number: str) -> bool:
    """Claim an order as its buyer does on Discord."""

    async def ask() -> bool:
        settings = Place(database=str(LEDGER)).settings()
        async with ledger(settings) as database:
            return await AdminService(database, settings, lambda _number: 0).claim_order(member, number)

    return anyio.run(ask)


def import_text(cashback: Cashback, text: str, shop: str) -> Any:  # noqa: ANN401 -- whatever JSON holds
    Path("shop.csv").write_text(text)
    answer = cashback("import", "shop.csv", "--shop", shop, "--json")
    assert answer.code == 0, answer.err
    return answer.json["purchases"]


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
    assert claim(TWO, "#1007")
    assert ("9007", TWO, 3_000, 0) in rows(LEDGER, ORDERS)


def with_intents(text: str) -> str:
    """Add the column by which Stripe's deliveries name payments."""
    header, *lines = text.splitlines()
    return f"{header},PaymentIntent ID\n" + "".join(f"{line},pi_{number}\n" for number, line in enumerate(lines, 1))


@pytest.mark.parametrize(("shop", "text"), [("cards", STRIPE.text), ("hats", SHOPIFY.text.replace(",Id,", ",Ids,"))])
def test_file_of_a_connected_shop_without_the_ids_of_its_deliveries_is_refused(
    cashback: Cashback, shop: str, text: str
) -> None:
    Path("shop.csv").write_text(text)
    said = cashback("import", "shop.csv", "--shop", shop).error
    assert "by which the shop's deliveries name its orders" in said
    assert rows(LEDGER, ORDERS) == []
    column = said.split("--ignore-column ")[1].split('"')[1]
    assert cashback("import", "shop.csv", "--shop", shop, "--ignore-column", column).code == 0


@pytest.mark.parametrize("is_file_first", [True, False])
def test_stripe_payment_in_a_file_and_a_delivery_counts_once(cashback: Cashback, is_file_first: bool) -> None:
    text = with_intents(STRIPE.text)
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
    order = woocommerce_order(701, "1012.50", refunds=[{"id": 5, "total": "-12.50"}])
    if is_file_first:
        import_text(cashback, WOOCOMMERCE.text, "foxes")
    deliver("foxes", order)
    facts = import_text(cashback, WOOCOMMERCE.text, "foxes")
    assert facts["refund_rows"] == {"delivered": {"rows": 1, "cents": 1_250}}
    assert (
        "Refunds that the shop has delivered already: 1 row, $12.50."
        in cashback("import", "shop.csv", "--shop", "foxes").out
    )
    assert rows(LEDGER, ORDERS) == [("701", ONE, 101_250, 1_250)]


ALREADY_IN_MAIN = [
    ("hats", SHOPIFY, []),
    ("cards", replace(STRIPE, text=with_intents(STRIPE.text)), []),
    ("foxes", WOOCOMMERCE, []),
    ("hats", SHOPIFY, ["--dry-run"]),
    ("hats", SHOPIFY, ["--strict"]),
]


@pytest.mark.parametrize("delivered_first", [False, True])
@pytest.mark.parametrize(
    ("shop", "shape", "options"), ALREADY_IN_MAIN, ids=lambda value: str(getattr(value, "name", value))
)
def test_history_that_main_has_is_not_imported_for_a_shop_without_an_admins_word(
    cashback: Cashback, shop: str, shape: Shape, options: list[str], delivered_first: bool
) -> None:
    """The shop may have delivered a new order before: only its first file was asked about."""
    Path("shop.csv").write_text(shape.text)
    assert cashback("import", "shop.csv").code == 0
    if delivered_first:
        deliver("hats", shopify_order(1_500, ONE, "1.00"))
        deliver("foxes", woocommerce_order(1_500, "1.00"))
    before = rows(LEDGER, ORDERS)
    answer = cashback("import", "shop.csv", "--shop", shop, *options)
    assert (answer.code, rows(LEDGER, ORDERS)) == (1, before)
    assert "is in main with the same buyer and amount: say --separate-orders" in answer.error
    if not options:
        assert cashback("import", "shop.csv", "--shop", shop, "--separate-orders").code == 0
        assert len(rows(LEDGER, ORDERS)) == len(before) + len(shape.purchases)
        assert cashback("import", "shop.csv", "--shop", shop).code == 0


def test_import_that_forgets_the_shop_whose_deliveries_count_is_asked_about(cashback: Cashback) -> None:
    deliver("foxes", woocommerce_order(701, "1012.50"))
    Path("shop.csv").write_text(WOOCOMMERCE.text)
    assert "import the file with --shop foxes" in cashback("import", "shop.csv").error
    assert rows(LEDGER, ORDERS) == [("701", ONE, 101_250, 0)]


def test_delivery_of_an_order_that_main_has_is_excluded_until_an_admin_says_otherwise(cashback: Cashback) -> None:
    """An order is delivered again with each change of its status, also one from before the shop was connected."""
    for name, shape in (("w.csv", WOOCOMMERCE), ("s.csv", SHOPIFY)):
        Path(name).write_text(shape.text)
        assert cashback("import", name).code == 0
    before = rows(LEDGER, ORDERS)
    deliver("foxes", woocommerce_order(701, "1012.50"))
    deliver("hats", shopify_order(1001, ONE, "100.00"))
    assert rows(LEDGER, ORDERS) == before
    said = cashback("shop", "deliveries").out
    assert said.count("This order is in main with the same buyer and amount") == 2
    assert cashback("import", "w.csv", "--shop", "foxes", "--separate-orders").code == 0
    assert len(rows(LEDGER, ORDERS)) == len(before) + 1
    deliver("foxes", woocommerce_order(701, "1012.50", status="completed"), woocommerce_order(702, "20.00"))
    assert len(rows(LEDGER, ORDERS)) == len(before) + 2


@pytest.mark.parametrize("is_file_first", [True, False])
def test_woocommerce_order_with_a_number_of_its_own_counts_once(cashback: Cashback, is_file_first: bool) -> None:
    if is_file_first:
        import_text(cashback, WOOCOMMERCE.text, "foxes")
    deliver("foxes", woocommerce_order(9_701, "1012.50", number="701", refunds=[{"id": 5, "total": "-12.50"}]))
    import_text(cashback, WOOCOMMERCE.text, "foxes")
    assert rows(LEDGER, ORDERS) == [("701", ONE, 101_250, 1_250)]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_woocommerce_order_that_ended_unpaid_counts_when_it_is_paid(cashback: Cashback, status: str) -> None:
    """A card that is declined makes the order fail, and the buyer pays it with another one."""
    deliver("foxes", woocommerce_order(701, "10.00", status=status, date_paid_gmt=None))
    deliver("foxes", woocommerce_order(701, "10.00"))
    assert rows(LEDGER, ORDERS) == [("701", ONE, 1_000, 0)]
    deliver("foxes", woocommerce_order(702, "5.00", date_paid_gmt=None))
    deliver("foxes", woocommerce_order(702, "5.00", status=status, date_paid_gmt=None))
    assert rows(LEDGER, ORDERS)[1] == ("702", ONE, 500, 500), "what was recorded is taken back in any case"
    assert cashback("verify").code == 0


def test_claimed_guest_order_that_main_has_of_the_same_member_counts_once(cashback: Cashback) -> None:
    Path("w.csv").write_text(WOOCOMMERCE.text)
    assert cashback("import", "w.csv").code == 0
    before = rows(LEDGER, ORDERS)
    deliver("foxes", woocommerce_order(701, "1012.50", meta_data=[]), woocommerce_order(705, "7.00", meta_data=[]))
    claim(ONE, "701")
    assert rows(LEDGER, ORDERS) == before
    assert claim(ONE, "705")
    assert len(rows(LEDGER, ORDERS)) == len(before) + 1


OTHER_IDS = {
    "ch_ and pi_": ("till", STRIPE.text, re.sub("ch_([0-9])", r"pi_\1", STRIPE.text), 3),
    "number and id": ("hats", SHOPIFY.text, re.sub("#(100[0-9])", r"9\1", SHOPIFY.text), 2),
    "another day": ("foxes", WOOCOMMERCE.text, WOOCOMMERCE.text.replace("701", "9701").replace("-02-03", "-02-06"), 0),
}


@pytest.mark.parametrize("form", OTHER_IDS)
@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--strict"]], ids=str)
def test_same_buyer_amount_and_day_under_another_id_is_warned_of(
    cashback: Cashback, form: str, options: list[str]
) -> None:
    shop, in_main, of_shop, similar = OTHER_IDS[form]
    Path("main.csv").write_text(in_main)
    Path("shop.csv").write_text(of_shop)
    assert cashback("import", "main.csv").code == 0
    said = cashback("import", "shop.csv", "--shop", shop, *options).out
    assert ("may count twice" in said) == bool(similar)
    assert f"Warning: {similar} orders" in said or not similar


def woocommerce_order(order_id: int, total: str, **more: object) -> dict[str, object]:
    order = {"id": order_id, "number": str(order_id), "status": "processing", "currency": "USD", "total": total}
    order |= {"date_paid_gmt": "2026-02-03T10:00:00", "meta_data": [{"key": "discord_id", "value": str(ONE)}]}
    return order | {"refunds": [], **more}
