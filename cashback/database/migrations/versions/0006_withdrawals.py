"""Withdrawals from wallets, and adjustments of them."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Integer, Text, UniqueConstraint, text

from cashback.database.guards import lift_guards
from cashback.database.tables import Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REQUESTED = "status = 'requested'"


def upgrade() -> None:
    """Create the tables. The triggers on wallet transactions are created again afterwards, for more kinds."""
    lift_guards(op.get_bind())
    _create_withdrawals()
    _create_adjustments()
    for name, columns, condition, unique in (
        ("withdrawals_one_open", ["user_id"], REQUESTED, True),
        ("withdrawals_open", ["number"], REQUESTED, False),
        ("withdrawals_untold", ["number"], "coalesce(told_status, '') <> status", False),
        ("withdrawals_to_erase", ["decided_at"], "destination IS NOT NULL", False),
        ("withdrawals_by_user", ["user_id", "number"], None, False),
    ):
        where = text(condition) if condition else None
        op.create_index(
            f"cashback_{name}",
            "cashback_withdrawals",
            columns,
            unique=unique,
            sqlite_where=where,
            postgresql_where=where,
        )


def _create_withdrawals() -> None:
    op.create_table(
        "cashback_withdrawals",
        Column(
            "number",
            BigInteger().with_variant(Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
            nullable=False,
        ),
        Column("user_id", BigInteger(), nullable=False),
        Column("method", Text(), nullable=False),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("status", Text(), nullable=False),
        Column("destination", Text()),
        Column("requested_at", Moment(), nullable=False),
        Column("needs_second_approver", Text()),
        Column("first_approved_by", Text()),
        Column("decided_by", Text()),
        Column("decider_id", BigInteger()),
        Column("decided_at", Moment()),
        Column("reference", Text()),
        Column("reason", Text()),
        Column("erased_at", Moment()),
        Column("told_status", Text()),
        Column("debit_id", BigInteger(), nullable=False),
        Column("return_id", BigInteger()),
        CheckConstraint("status IN ('requested', 'paid', 'declined', 'cancelled')", name="status_known"),
        CheckConstraint("amount_cents > 0", name="takes_something"),
        CheckConstraint("(status = 'requested') = (decided_at IS NULL)", name="decided_once"),
        CheckConstraint("(status IN ('declined', 'cancelled')) = (return_id IS NOT NULL)", name="returned_unless_paid"),
        CheckConstraint("(status = 'paid') = (reference IS NOT NULL)", name="paid_by_a_transfer"),
        CheckConstraint("decider_id IS NULL OR decider_id <> user_id", name="nobody_decides_on_their_own"),
        CheckConstraint(
            "needs_second_approver IS NULL OR status <> 'paid' OR (first_approved_by IS NOT NULL"
            " AND decider_id IS NOT NULL AND first_approved_by NOT LIKE '%:' || decider_id)",
            name="approved_by_two",
        ),
        CheckConstraint("first_approved_by NOT LIKE '%:' || user_id", name="nobody_approves_their_own"),
        UniqueConstraint("debit_id"),
        UniqueConstraint("return_id"),
        ForeignKeyConstraint(["user_id"], ["users.discord_id"]),
        ForeignKeyConstraint(["debit_id"], ["wallet_transactions.id"]),
        ForeignKeyConstraint(["return_id"], ["wallet_transactions.id"]),
        sqlite_autoincrement=True,
    )


def _create_adjustments() -> None:
    op.create_table(
        "cashback_wallet_adjustments",
        Column("transaction_id", BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        Column("user_id", BigInteger(), nullable=False),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("reason", Text(), nullable=False),
        Column("made_by", Text(), nullable=False),
        Column("needs_second_approver", Text()),
        Column("approver_id", BigInteger()),
        Column("made_at", Moment(), nullable=False),
        CheckConstraint("amount_cents <> 0", name="changes_something"),
        CheckConstraint(
            "needs_second_approver IS NULL OR (approver_id IS NOT NULL AND made_by NOT LIKE '%:' || approver_id)",
            name="approved_by_two",
        ),
        CheckConstraint(
            "(approver_id IS NULL OR approver_id <> user_id) AND made_by NOT LIKE '%:' || user_id",
            name="nobody_adjusts_their_own",
        ),
        ForeignKeyConstraint(["transaction_id"], ["wallet_transactions.id"]),
        ForeignKeyConstraint(["user_id"], ["users.discord_id"]),
        sqlite_with_rowid=False,
    )
