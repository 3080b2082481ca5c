"""The ledger's one currency. A ledger that has amounts, or was adopted, counts in dollars."""

from alembic import op
from sqlalchemy import Column, Integer, Text

from cashback.database.guards import lift_guards

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("referrals", "cashback_referral_purchases", "wallet_transactions", "cashback_unmatched_purchases")


def upgrade() -> None:
    """Add the columns. The guard of the table is created again afterwards: it lets the currency be fixed once."""
    lift_guards(op.get_bind())
    op.add_column("cashback_origin", Column("currency", Text()))
    op.add_column("cashback_origin", Column("decimals", Integer()))
    rows = " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in TABLES)  # noqa: S608 -- our own names
    op.execute(f"UPDATE cashback_origin SET currency = 'USD', decimals = 2 WHERE adopted = 1 OR {rows}")  # noqa: S608 -- as above
