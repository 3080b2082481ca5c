"""The last verification, and an index over the audit entries about backups and posted heads, for the metrics."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, PrimaryKeyConstraint, Text, text

from cashback.database.tables import Moment

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the index."""
    op.create_table(
        "cashback_last_verification",
        Column("id", Integer(), nullable=False),
        Column("verified_at", Moment(), nullable=False),
        Column("verified_by", Text(), nullable=False),
        Column("breaches", BigInteger(), nullable=False),
        CheckConstraint("id = 1", name="the_last_one"),
        PrimaryKeyConstraint("id"),
    )
    condition = text("action IN ('backup_made', 'head_posted')")
    op.create_index(
        "cashback_audit_log_upkeep",
        "cashback_audit_log",
        ["action", "id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
