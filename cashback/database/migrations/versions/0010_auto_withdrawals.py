"""Withdrawals that are sent each time: the members' wish, and what is added to an open request."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Text,
)

from cashback.database.guards import lift_guards
from cashback.database.tables import Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables. The guard of withdrawals is created again afterwards: an open request may be added to."""
    lift_guards(op.get_bind())
    op.add_column("cashback_withdrawals", Column("exported_at", Moment()))
    op.create_table(
        "cashback_withdrawal_additions",
        Column("debit_id", BigInteger(), autoincrement=False, nullable=False),
        Column("number", BigInteger(), nullable=False),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("added_at", Moment(), nullable=False),
        CheckConstraint("amount_cents > 0", name="adds_something"),
        PrimaryKeyConstraint("debit_id"),
        ForeignKeyConstraint(["debit_id"], ["wallet_transactions.id"]),
        ForeignKeyConstraint(["number"], ["cashback_withdrawals.number"]),
        sqlite_with_rowid=False,
    )
    op.create_index("cashback_withdrawal_additions_by_number", "cashback_withdrawal_additions", ["number"])
    op.create_table(
        "cashback_auto_withdrawals",
        Column("user_id", BigInteger(), autoincrement=False, nullable=False),
        Column("method", Text(), nullable=False),
        Column("destination", Text()),
        Column("after_transaction_id", BigInteger(), nullable=False),
        Column("set_at", Moment(), nullable=False),
        PrimaryKeyConstraint("user_id"),
        ForeignKeyConstraint(["user_id"], ["users.discord_id"]),
        sqlite_with_rowid=False,
    )
