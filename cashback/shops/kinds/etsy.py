"""Etsy: the exports of sold orders, and of sold order items. Neither has a place for a Discord id of its own."""

from typing import Final

from cashback.shops.kinds.kind import FileKind, Lines, Place, Rule
from cashback.shops.moments import MONTH_FIRST

_PAID: Final = frozenset(
    {"", "paid", "completed", "complete", "shipped", "delivered", "partially refunded", "refunded", "fully refunded"}
)

ORDERS: Final = FileKind(
    name="Etsy orders",
    identified_by=frozenset({"sale date", "order id", "buyer user id", "currency", "order value", "order total"}),
    order_id="order id",
    amounts={"subtotal": "order value", "total": "order total"},
    moments=("sale date",),
    day_order=MONTH_FIRST,
    buyers={"buyer receipt message": Place.FREE},
    currency="currency",
    rules=(
        Rule(column="status", never=frozenset({"canceled", "cancelled"}), reason="not paid", takes_back=True),
        Rule(column="status", only=_PAID, reason="not paid"),
    ),
    refunded_in_all={"status": frozenset({"refunded", "fully refunded"})},
    harmless=frozenset(
        {
            "number of items",
            "shipping discount",
            "discount amount",
            "shipping",
            "sales tax",
            "order type",
            "payment type",
            "inperson discount",
            "card processing fees",
            "adjusted card processing fees",
            "ship state",
            "vat paid by buyer",
            "date paid",
        }
    ),
)

ITEMS: Final = FileKind(
    name="Etsy order items",
    identified_by=frozenset({"sale date", "item total", "transaction id", "listing id", "order id", "currency"}),
    order_id="order id",
    amounts={"subtotal": "item total"},
    moments=("sale date",),
    day_order=MONTH_FIRST,
    currency="currency",
    lines=Lines.ITEMS,
    item_id="transaction id",
    harmless=frozenset(
        {
            "quantity",
            "discount amount",
            "shipping discount",
            "order shipping",
            "order sales tax",
            "date paid",
            "ship state",
            "order type",
            "listings type",
            "payment type",
            "inperson discount",
            "vat paid by buyer",
        }
    ),
)
