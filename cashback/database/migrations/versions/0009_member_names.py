"""Names and avatars of members, as the bot last saw them, so that the pages show people and not numbers."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Text

from cashback.database.tables import Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, with an index to find people by the beginning of their names."""
    op.create_table(
        "cashback_member_names",
        Column("user_id", BigInteger(), autoincrement=False, nullable=False),
        Column("name", Text()),
        Column("searched_name", Text()),
        Column("avatar_key", Text()),
        Column("avatar_base64", Text()),
        Column("seen_at", Moment(), nullable=False),
        PrimaryKeyConstraint("user_id"),
    )
    op.create_index("cashback_member_names_searched", "cashback_member_names", ["searched_name"])
