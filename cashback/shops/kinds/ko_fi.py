"""Ko-fi: the transactions export. A Discord id stands in the supporter's message."""

from typing import Final

from cashback.shops.kinds.kind import FileKind, Place, Rule

TRANSACTIONS: Final = FileKind(
    name="Ko-fi transactions",
    identified_by=frozenset(
        {"datetime (utc)", "from", "received", "given", "currency", "transactiontype", "transactionid"}
    ),
    order_id="transactionid",
    amounts={"total": "received"},
    moments=("datetime (utc)",),
    buyers={"discord_userid": Place.CELL, "message": Place.FREE},
    currency="currency",
    rules=(Rule(column="received", never=frozenset({"", "0", "0.00", "0,00"}), reason="nothing was received"),),
    harmless=frozenset(
        {"given", "transactiontype", "salestax", "tax", "shipping", "shippingcost", "state", "quantity"}
    ),
)
