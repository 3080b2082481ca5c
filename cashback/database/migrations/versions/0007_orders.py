"""Orders: purchases without a member, refunds before their purchase, and corrections."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)

from cashback.database.guards import lift_guards
from cashback.database.tables import Key, Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and name the correction in purchases and refunds. The guards are created again afterwards."""
    lift_guards(op.get_bind())
    op.add_column("cashback_referral_purchases", Column("correction_number", BigInteger()))
    for column in (
        Column("correction_number", BigInteger()),
        Column("asked_cents", BigInteger()),
        Column("part_of", Text()),
    ):
        op.add_column("cashback_referral_refunds", column)
    _create_unmatched()
    _create_kept_refunds()
    _create_corrections()
    for name, table, columns, condition in (
        ("referral_purchases_correcting", "referral_purchases", ["correction_number"], "correction_number IS NOT NULL"),
        ("order_corrections_by_order", "order_corrections", ["source", "order_id"], None),
        ("kept_refunds_by_order", "kept_refunds", ["source", "order_id"], "applied_at IS NULL"),
        ("unmatched_purchases_waiting", "unmatched_purchases", ["waits_until"], "buyer_id IS NULL"),
        ("unmatched_hints_by_order", "unmatched_hints", ["source", "order_id"], None),
    ):
        where = text(condition) if condition else None
        op.create_index(f"cashback_{name}", f"cashback_{table}", columns, sqlite_where=where, postgresql_where=where)


def _create_unmatched() -> None:
    op.create_table(
        "cashback_unmatched_purchases",
        Column("source", Text(), nullable=False),
        Column("order_id", Text(), nullable=False),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("rate_ppm", Integer(), nullable=False),
        Column("purchased_at", Moment(), nullable=False),
        Column("recorded_at", Moment(), nullable=False),
        Column("waits_until", Moment(), nullable=False),
        Column("intake_number", BigInteger()),
        Column("buyer_id", BigInteger()),
        Column("settled_at", Moment()),
        Column("settled_by", Text()),
        PrimaryKeyConstraint("source", "order_id"),
        CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
        CheckConstraint("rate_ppm BETWEEN 0 AND 1000000", name="rate_is_a_share"),
        CheckConstraint("(buyer_id IS NULL) = (settled_at IS NULL)", name="settled_once"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cashback_unmatched_hints",
        Column("hint", Text(), nullable=False),
        Column("source", Text(), nullable=False),
        Column("order_id", Text(), nullable=False),
        PrimaryKeyConstraint("hint", "source", "order_id"),
        ForeignKeyConstraint(
            ["source", "order_id"], ["cashback_unmatched_purchases.source", "cashback_unmatched_purchases.order_id"]
        ),
        CheckConstraint("length(hint) = 64", name="hashed"),
        sqlite_with_rowid=False,
    )


def _create_kept_refunds() -> None:
    op.create_table(
        "cashback_kept_refunds",
        Column("number", Key, primary_key=True, autoincrement=True),
        Column("source", Text(), nullable=False),
        Column("order_id", Text(), nullable=False),
        Column("refund_id", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("amount_cents", BigInteger()),
        Column("reason", Text()),
        Column("kept_by", Text(), nullable=False),
        Column("kept_at", Moment(), nullable=False),
        Column("intake_number", BigInteger()),
        Column("applied_at", Moment()),
        UniqueConstraint("source", "refund_id", "kind", name="kept_once"),
        CheckConstraint("kind IN ('refund', 'in_all', 'given_back')", name="kind_known"),
        CheckConstraint("amount_cents > 0", name="refunds_something"),
        sqlite_autoincrement=True,
    )


def _create_corrections() -> None:
    op.create_table(
        "cashback_order_corrections",
        Column("number", Key, primary_key=True, autoincrement=True),
        Column("source", Text(), nullable=False),
        Column("order_id", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("buyer_id", BigInteger(), nullable=False),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("refund_id", Text()),
        Column("reason", Text()),
        Column("made_by", Text(), nullable=False),
        Column("made_at", Moment(), nullable=False),
        ForeignKeyConstraint(
            ["source", "order_id"], ["cashback_referral_purchases.source", "cashback_referral_purchases.order_id"]
        ),
        UniqueConstraint("source", "refund_id", name="given_back_once"),
        CheckConstraint("kind IN ('given_back', 'reassigned', 'amount')", name="kind_known"),
        CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
        CheckConstraint("(kind = 'given_back') = (refund_id IS NOT NULL)", name="gives_back_a_refund"),
        sqlite_autoincrement=True,
    )
