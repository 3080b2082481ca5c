"""An index over another bot's rows that nobody can be paid by, so that every batch names them."""

from typing import Any

from alembic import op
from sqlalchemy import text

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

IS_WHOLE = {"sqlite": "(typeof({}) = 'integer') = 1", "postgresql": "(({}) IS NOT NULL)"}


def upgrade() -> None:
    """Create the index."""
    earned, paid = "cashback_earned_cents", "cashback_paid_cents"
    conditions: dict[str, Any] = {
        f"{dialect}_where": text(
            f"NOT ({whole.format(earned)} AND {whole.format(paid)}"
            f" AND {earned} BETWEEN -100000000000000 AND 100000000000000 AND {paid} BETWEEN 0 AND 100000000000000)"
        )
        for dialect, whole in IS_WHOLE.items()
    }
    op.create_index("cashback_referrals_unusable", "referrals", ["referrer_user_id"], **conditions)
