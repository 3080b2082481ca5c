"""The outbox of events for other programs: who gets which, and each delivery."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, PrimaryKeyConstraint, Text, text

from cashback.database.tables import Moment

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "cashback_webhooks",
        Column("name", Text(), nullable=False),
        Column("events", Text(), nullable=False),
        PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cashback_webhook_deliveries",
        Column(
            "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True, nullable=False
        ),
        Column("webhook", Text(), nullable=False),
        Column("event", Text(), nullable=False),
        Column("user_id", BigInteger(), nullable=False),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("batch_number", BigInteger()),
        Column("withdrawal_number", BigInteger()),
        Column("happened_at", Moment(), nullable=False),
        Column("status", Text(), server_default="queued", nullable=False),
        Column("attempts", Integer(), server_default="0", nullable=False),
        Column("next_attempt_at", Moment()),
        Column("last_error", Text()),
        Column("settled_at", Moment()),
        CheckConstraint("status IN ('queued', 'delivered', 'failed')", name="status_known"),
        CheckConstraint("(batch_number IS NULL) <> (withdrawal_number IS NULL)", name="about_one_thing"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "cashback_webhook_deliveries_queued",
        "cashback_webhook_deliveries",
        ["webhook", "id"],
        sqlite_where=text("status = 'queued'"),
        postgresql_where=text("status = 'queued'"),
    )
