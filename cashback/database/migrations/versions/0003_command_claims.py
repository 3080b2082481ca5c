"""Claims on commands, so that of several bots with one token only one acts on each."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint

from cashback.database.tables import Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "cashback_command_claims",
        Column("id", BigInteger(), autoincrement=False, nullable=False),
        Column("claimed_at", Moment(), nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
