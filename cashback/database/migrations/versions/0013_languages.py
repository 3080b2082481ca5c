"""The language of each member, so that messages reach them in it."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("cashback_notification_preferences", Column("language", Text()))
