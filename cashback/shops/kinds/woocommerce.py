"""WooCommerce: the orders report of Analytics. Refunds are negative rows of the same order."""

from typing import Final

from cashback.shops.kinds.kind import FileKind, Lines, Rule

ANALYTICS: Final = FileKind(
    name="WooCommerce analytics",
    identified_by=frozenset({"date", "order #", "n. revenue (formatted)", "status", "customer"}),
    order_id="order #",
    amounts={"subtotal": "n. revenue (formatted)"},
    moments=("date",),
    lines=Lines.LEDGER,
    rules=(
        # One that failed may be paid in a second try; then it counts.
        Rule(column="status", never=frozenset({"cancelled", "trash"}), reason="not paid", takes_back=True),
        Rule(column="status", only=frozenset({"completed", "processing", "refunded"}), reason="not paid"),
    ),
    harmless=frozenset({"customer type", "net sales", "n. revenue"}),
)
