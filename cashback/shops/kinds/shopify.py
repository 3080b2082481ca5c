"""Shopify: the orders export. An order's items are rows of their own; only the first has the amounts."""

from typing import Final

from cashback.shops.kinds.kind import FileKind, Lines, Place, Rule

ADDRESS: Final = (
    *("name", "street", "address1", "address2", "company", "city", "zip", "province", "country", "phone"),
    "province name",
)

ORDERS: Final = FileKind(
    name="Shopify orders",
    identified_by=frozenset({"name", "financial status", "paid at", "currency", "subtotal", "total"}),
    order_id="name",
    delivered_id="id",
    amounts={"subtotal": "subtotal", "total": "total"},
    moments=("paid at",),
    buyers={"note attributes": Place.NAMED},
    currency="currency",
    lines=Lines.FIRST,
    rules=(
        # An order that was paid in several ways names them all.
        Rule(column="payment method", word="bogus", reason="a test order"),
        Rule(column="cancelled at", must_be_empty=True, reason="cancelled", takes_back=True),
        Rule(
            column="financial status",
            only=frozenset({"paid", "partially_refunded", "partially refunded", "refunded"}),
            reason="not paid",
        ),
    ),
    refunded="refunded amount",
    refunded_in_all={"financial status": frozenset({"refunded"})},
    harmless=frozenset(
        {
            "fulfillment status",
            "shipping",
            "taxes",
            "discount code",
            "discount amount",
            "shipping method",
            "lineitem quantity",
            "lineitem fulfillment status",
            "lineitem requires shipping",
            "lineitem discount",
            *(f"shipping {part}" for part in ADDRESS),
            *(f"tax {number} {part}" for number in range(1, 6) for part in ("name", "value")),
        }
    ),
)
