"""What refunds took off of each payout's shares, and what reversals took back that no refund did.

Before, only each referral had these sums. They are divided among its shares, newest first, as reversals are.
"""

from alembic import op
from sqlalchemy import BigInteger, Column, text

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

DIVIDED = """
WITH newest AS (
    SELECT s.batch_number, s.referrer_id, s.referral_id, {room} AS room, r.{sum} AS cents,
        sum({room}) OVER (PARTITION BY s.referral_id ORDER BY s.batch_number DESC) - {room} AS newer
    FROM cashback_payout_shares s JOIN referrals r ON r.id = s.referral_id
    WHERE r.{sum} > 0 AND {room} > 0
)
UPDATE cashback_payout_shares SET {column} = (
    SELECT CASE WHEN n.cents - n.newer < n.room THEN n.cents - n.newer ELSE n.room END
    FROM newest n WHERE n.batch_number = cashback_payout_shares.batch_number
        AND n.referrer_id = cashback_payout_shares.referrer_id AND n.referral_id = cashback_payout_shares.referral_id)
WHERE (batch_number, referrer_id, referral_id) IN (
    SELECT batch_number, referrer_id, referral_id FROM newest WHERE cents > newer)
"""


def upgrade() -> None:
    """Add the columns and what they hold, and the index over the shares that refunds took something off."""
    for column in ("charged_cents", "forfeited_cents"):
        op.add_column("cashback_payout_shares", Column(column, BigInteger(), nullable=False, server_default="0"))
    kept = "(s.paid_cents - s.returned_cents)"
    op.execute(DIVIDED.format(room=kept, sum="cashback_charged_cents", column="charged_cents"))
    op.execute(DIVIDED.format(room="s.returned_cents", sum="cashback_forfeited_cents", column="forfeited_cents"))
    is_charged = text("charged_cents > 0")
    op.create_index(
        "cashback_payout_shares_charged",
        "cashback_payout_shares",
        ["referral_id", "batch_number"],
        sqlite_where=is_charged,
        postgresql_where=is_charged,
    )
