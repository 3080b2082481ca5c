"""Gumroad: the sales export. A Discord id stands in a custom field of the product."""

from typing import Final

from cashback.shops.kinds.kind import YES, FileKind, Place, Rule

SALES: Final = FileKind(
    name="Gumroad sales",
    identified_by=frozenset({"purchase id", "item name", "purchase date", "sale price ($)"}),
    order_id="purchase id",
    amounts={"subtotal": "subtotal ($)", "total": "sale price ($)"},
    moments=("purchase date", "purchase time (utc timezone)"),
    buyers={"custom fields": Place.NAMED},
    rules=(
        Rule(column="free trial purchase?", never=YES, reason="a free trial"),
        Rule(column="pre-order authorization?", never=YES, reason="not paid yet"),
        Rule(column="test?", never=YES, reason="a test purchase"),
    ),
    refunded="partial refund ($)",
    refunded_in_all={"fully refunded?": YES},
    disputed=("disputed?", "dispute won?"),
    in_currency="USD",
    totals="totals",
    harmless=frozenset(
        {
            "refunded?",
            "taxes ($)",
            "shipping ($)",
            "fees ($)",
            "tax included in price?",
            "state",
            "discount code",
            "quantity",
            "payment type",
            "paypal fee amount",
            "paypal fee currency",
            "stripe fee amount",
            "stripe fee currency",
            "purchasing power parity discounted?",
            "cancellation date",
            "tax type",
        }
    ),
)
