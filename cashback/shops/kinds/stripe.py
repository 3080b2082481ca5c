"""Stripe: the payments export. A Discord id stands in the payment's metadata."""

from typing import Final

from cashback.shops.kinds.kind import FileKind, Place, Rule

PAYMENTS: Final = FileKind(
    name="Stripe payments",
    identified_by=frozenset({"id", "created date (utc)", "amount", "amount refunded", "currency", "status"}),
    order_id="id",
    delivered_id="paymentintent id",
    amounts={"total": "amount"},
    moments=("created date (utc)",),
    buyers={
        "discord_id (metadata)": Place.CELL,
        "discord id (metadata)": Place.CELL,
        "client_reference_id (metadata)": Place.CELL,
        "client_reference_id": Place.CELL,
        "client reference id": Place.CELL,
    },
    currency="currency",
    rules=(
        Rule(column="mode", word="test", reason="a test payment"),
        Rule(
            column="status",
            only=frozenset({"paid", "succeeded", "refunded", "partially refunded", "partial refund"}),
            reason="not paid",
        ),
        Rule(column="captured", only=frozenset({"true", "1", "yes"}), reason="not captured"),
    ),
    refunded="amount refunded",
    refunded_in_all={"status": frozenset({"refunded"}), "dispute status": frozenset({"lost"})},
    harmless=frozenset(
        {
            "converted amount",
            "converted amount refunded",
            "converted currency",
            "fee",
            "taxes on fee",
            "application fee",
            "refunded date (utc)",
            "disputed amount",
            "dispute date (utc)",
            "dispute evidence due (utc)",
            "dispute reason",
            "payment source type",
            "card type",
            "card address state",
            "shipping address state",
            "card tokenization method",
            "is link",
            "decline reason",
            "failure message",
            "failure code",
            *(f"shipping {part}" for part in ("name", "address line1", "address line2", "address city")),
            *(f"shipping {part}" for part in ("address postal code", "address country", "address zip")),
        }
    ),
)
