"""What became of old direct messages, as counts per batch."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, PrimaryKeyConstraint, Text

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "cashback_outbox_counts",
        Column("batch_number", BigInteger(), nullable=False),
        Column("status", Text(), nullable=False),
        Column("messages", BigInteger(), nullable=False),
        CheckConstraint("status IN ('sent', 'muted')", name="done_with"),
        CheckConstraint("messages > 0", name="counts_something"),
        PrimaryKeyConstraint("batch_number", "status"),
        ForeignKeyConstraint(["batch_number"], ["cashback_payout_batches.number"]),
        sqlite_with_rowid=False,
    )
