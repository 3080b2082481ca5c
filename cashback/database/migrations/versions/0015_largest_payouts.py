"""Indexes in the order in which payouts are shown: the largest of a batch first."""

from alembic import op
from sqlalchemy import text

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

LARGEST_FIRST = (text("approved_cents DESC"), "referrer_id")


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("cashback_payouts_largest", "cashback_payouts", ["batch_number", *LARGEST_FIRST])
    condition = text("status IN ('failed', 'skipped')")
    op.create_index(
        "cashback_payouts_not_paid",
        "cashback_payouts",
        ["batch_number", "status", *LARGEST_FIRST],
        sqlite_where=condition,
        postgresql_where=condition,
    )
