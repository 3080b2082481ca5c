"""PayPal: the activity download. Refunds are rows of their own that name the payment."""

from typing import Final

from cashback.shops.kinds.kind import FileKind, Lines, Place, Rule

NO_SALES: Final = frozenset(
    {
        "general currency conversion",
        "currency conversion",
        "general withdrawal",
        "user initiated withdrawal",
        "withdraw funds to bank account",
        "bank deposit to pp account",
        "bank deposit to pp account ",
        "general credit card deposit",
        "general card deposit",
        "general card withdrawal",
        "general funding withdrawal",
        "account hold for open authorization",
        "reversal of general account hold",
        "general hold",
        "hold on balance for dispute investigation",
        "general hold release",
        "payment hold",
        "payment release",
        "reserve hold",
        "reserve release",
        "general authorization",
        "authorization",
        "void of authorization",
        "order",
        "chargeback fee",
        "dispute fee",
        "payment fee",
        "general paypal debit card transaction",
        "fee reversal",
        "general account correction",
        "mass pay payment",
        "payouts",
        "tax collected by partner",
        "transfer",
        "general transfer",
        "buyer credit payment withdrawal - transfer to bml",
        "invoice sent",
        "request sent",
        "request received",
        "cancelled fee",
        "canceled fee",
    }
)

ACTIVITY: Final = FileKind(
    name="PayPal activity",
    identified_by=frozenset({"date", "time", "type", "status", "currency", "gross", "transaction id"}),
    order_id="transaction id",
    amounts={"total": "gross"},
    moments=("date", "time", "timezone", "time zone"),
    buyers={"custom number": Place.CELL, "note": Place.FREE},
    currency="currency",
    lines=Lines.LEDGER,
    reference="reference txn id",
    rules=(
        Rule(column="status", only=frozenset({"completed"}), reason="not completed"),
        Rule(column="type", never=NO_SALES, reason="not a sale"),
        Rule(column="balance impact", never=frozenset({"memo"}), reason="not a sale"),
    ),
    harmless=frozenset(
        {
            "fee",
            "address status",
            "shipping address",
            "shipping and handling amount",
            "sales tax",
            "quantity",
            "state/province/region/county/territory/prefecture/republic",
            "transaction event code",
            "counterparty status",
            "insurance amount",
            "invoice number",
            "discount",
        }
    ),
)
