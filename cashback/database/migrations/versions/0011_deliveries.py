"""Deliveries of shops, what they say of refunds, and whose purchases they are."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, PrimaryKeyConstraint, Text, text

from cashback.database.guards import lift_guards
from cashback.database.tables import Key, Moment

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OPEN = "(outcome NOT IN ('unreadable', 'excluded', 'conflicting'))"


def upgrade() -> None:
    """Create the tables. The guards are created again afterwards."""
    lift_guards(op.get_bind())
    _create_deliveries()
    _create_buyers()
    for name, table, columns, condition, unique in (
        ("shop_deliveries_once", "shop_deliveries", ["shop", "event_id"], OPEN, True),
        ("shop_deliveries_to_erase", "shop_deliveries", ["at"], "events IS NOT NULL", False),
        ("order_claims_by_member", "order_claims", ["member_id", "at"], None, False),
    ):
        where = text(condition) if condition else None
        op.create_index(
            f"cashback_{name}",
            f"cashback_{table}",
            columns,
            unique=unique,
            sqlite_where=where,
            postgresql_where=where,
        )


def _create_deliveries() -> None:
    op.create_table(
        "cashback_refund_facts",
        Column("source", Text(), nullable=False),
        Column("order_id", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("refund_id", Text(), nullable=False),
        Column("amount_cents", BigInteger()),
        Column("recorded_at", Moment(), nullable=False),
        Column("intake_number", BigInteger()),
        PrimaryKeyConstraint("source", "order_id", "kind", "refund_id"),
        CheckConstraint("kind IN ('refunded', 'refunded_in_all', 'disputed', 'dispute_won')", name="kind_known"),
        CheckConstraint("amount_cents >= 0", name="never_gives"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cashback_shop_deliveries",
        Column("number", Key, primary_key=True, autoincrement=True),
        Column("shop", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("at", Moment(), nullable=False),
        Column("digest", Text(), nullable=False),
        Column("event_id", Text(), nullable=False),
        Column("topic", Text(), nullable=False),
        Column("outcome", Text(), nullable=False),
        Column("reason", Text()),
        Column("intake_number", BigInteger()),
        Column("events", Text()),
        CheckConstraint("length(digest) = 64", name="has_a_digest"),
        sqlite_autoincrement=True,
    )


def _create_buyers() -> None:
    op.create_table(
        "cashback_member_emails",
        Column("email_hash", Text(), primary_key=True, nullable=False),
        Column("member_id", BigInteger(), nullable=False),
        Column("linked_at", Moment(), nullable=False),
        CheckConstraint("length(email_hash) = 64", name="hashed"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cashback_buyer_emails",
        Column("member_id", BigInteger(), nullable=False),
        Column("email_hash", Text(), nullable=False),
        Column("first_at", Moment(), nullable=False),
        PrimaryKeyConstraint("member_id", "email_hash"),
        CheckConstraint("length(email_hash) = 64", name="hashed"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cashback_order_claims",
        Column("number", Key, primary_key=True, autoincrement=True),
        Column("member_id", BigInteger(), nullable=False),
        Column("at", Moment(), nullable=False),
        Column("was_right", Boolean(), nullable=False),
        sqlite_autoincrement=True,
    )
