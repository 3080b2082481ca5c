"""What enters has a source: intakes, and orders and refunds that are unique within their shop.

Purchases and refunds of before are of the source `main`. SQLite cannot change a primary key: the tables are rebuilt.
"""

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Text,
    text,
)

from cashback.database.guards import lift_guards
from cashback.database.tables import Key, Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PURCHASES = "cashback_referral_purchases"
REFUNDS = "cashback_referral_refunds"


def upgrade() -> None:
    """Create the intakes, and give purchases, refunds and referrals their source."""
    connection = op.get_bind()
    lift_guards(connection)
    op.create_table(
        "cashback_intakes",
        Column("number", Key, primary_key=True, autoincrement=True),
        Column("source", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("at", Moment(), nullable=False),
        Column("actor", Text(), nullable=False),
        Column("digest", Text()),
        Column("rows", BigInteger(), nullable=False, server_default="0"),
        Column("cents", BigInteger(), nullable=False, server_default="0"),
        Column("undone_at", Moment()),
        CheckConstraint("kind IN ('import', 'delivery', 'command')", name="kind_known"),
        sqlite_autoincrement=True,
    )
    op.add_column("referrals", Column("cashback_intake_number", BigInteger()))
    if connection.dialect.name == "sqlite":
        _rebuild(connection)
    else:
        _alter()
    _create_indexes()


def _rebuild(connection: Connection) -> None:
    op.create_table(
        f"{PURCHASES}_new",
        Column("order_id", Text(), nullable=False),
        Column("buyer_id", BigInteger(), nullable=False),
        Column("referral_id", BigInteger(), ForeignKey("referrals.id")),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("rate_ppm", Integer(), nullable=False),
        Column("earned_cents", BigInteger(), nullable=False),
        Column("purchased_at", Moment(), nullable=False),
        Column("recorded_at", Moment(), nullable=False),
        Column("payable_at", Moment()),
        Column("refunded_cents", BigInteger(), nullable=False, server_default="0"),
        Column("source", Text(), nullable=False, server_default="main"),
        Column("intake_number", BigInteger()),
        PrimaryKeyConstraint("source", "order_id"),
        CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
        CheckConstraint("refunded_cents BETWEEN 0 AND amount_cents", name="never_refunded_beyond_its_amount"),
        CheckConstraint("rate_ppm BETWEEN 0 AND 1000000", name="rate_is_a_share"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        f"{REFUNDS}_new",
        Column("refund_id", Text(), nullable=False),
        Column("order_id", Text(), nullable=False),
        Column("referral_id", BigInteger(), ForeignKey("referrals.id")),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("taken_cents", BigInteger(), nullable=False),
        Column("reason", Text()),
        Column("refunded_by", Text(), nullable=False),
        Column("refunded_at", Moment(), nullable=False),
        Column("source", Text(), nullable=False, server_default="main"),
        Column("intake_number", BigInteger()),
        PrimaryKeyConstraint("source", "refund_id"),
        ForeignKeyConstraint(["source", "order_id"], [f"{PURCHASES}_new.source", f"{PURCHASES}_new.order_id"]),
        CheckConstraint("amount_cents > 0", name="refunds_something"),
        CheckConstraint("taken_cents >= 0", name="never_gives"),
        sqlite_with_rowid=False,
    )
    for table in (PURCHASES, REFUNDS):
        columns = ", ".join(row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})").all())
        op.execute(f"INSERT INTO {table}_new ({columns}) SELECT {columns} FROM {table}")  # noqa: S608 -- our own names
    # Guards are put back later; what closes a ledger that was moved is not.
    query = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (?, ?)"
    others = [statement for (statement,) in connection.exec_driver_sql(query, (PURCHASES, REFUNDS)).all()]
    # Refunds refer to purchases, so they go first.
    op.drop_table(REFUNDS)
    op.drop_table(PURCHASES)
    for table in (PURCHASES, REFUNDS):
        op.rename_table(f"{table}_new", table)
    for statement in others:
        connection.exec_driver_sql(statement)


def _alter() -> None:
    op.drop_constraint(f"{REFUNDS}_order_id_fkey", REFUNDS)
    op.drop_index("cashback_referral_purchases_refunded", PURCHASES)
    op.drop_index("cashback_referral_refunds_by_order", REFUNDS)
    for table, key in ((PURCHASES, "order_id"), (REFUNDS, "refund_id")):
        op.add_column(table, Column("source", Text(), nullable=False, server_default="main"))
        op.add_column(table, Column("intake_number", BigInteger()))
        op.drop_constraint(f"{table}_pkey", table)
        op.create_primary_key(f"{table}_pkey", table, ["source", key])
    op.create_foreign_key(
        f"{REFUNDS}_source_order_id_fkey", REFUNDS, PURCHASES, ["source", "order_id"], ["source", "order_id"]
    )


def _create_indexes() -> None:
    waiting = text("referral_id IS NULL AND rate_ppm > 0")
    by_buyer = f"{PURCHASES}_waiting"
    op.create_index(by_buyer, PURCHASES, ["buyer_id"], sqlite_where=waiting, postgresql_where=waiting)
    refunded = text("refunded_cents > 0")
    index = f"{PURCHASES}_refunded"
    op.create_index(index, PURCHASES, ["source", "order_id"], sqlite_where=refunded, postgresql_where=refunded)
    op.create_index(f"{REFUNDS}_by_order", REFUNDS, ["source", "order_id"])
    if op.get_bind().dialect.name == "sqlite":
        linked = text("referral_id IS NOT NULL")
        by_referral = f"{PURCHASES}_by_referral"
        op.create_index(by_referral, PURCHASES, ["referral_id", "payable_at"], sqlite_where=linked)
        op.create_index(f"{REFUNDS}_by_referral", REFUNDS, ["referral_id"])
