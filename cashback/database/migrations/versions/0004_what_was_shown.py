"""An approval is for what was shown: shares of payouts, tokens of proposals, the age of approvals; taken once.

Ledgers of before have no shares. What a payout paid of each referral is reconstructed: payouts in the order of their
batches cover the paid referrals in the order of their ids, so that every sum is right. Open payouts get what is pending
now, at most what was approved.
"""

from datetime import datetime, timedelta

from alembic import context, op
from sqlalchemy import BigInteger, CheckConstraint, Column, Connection, ForeignKeyConstraint, Text, bindparam, text

from cashback.database import origins
from cashback.database.audit_log import add_entry
from cashback.database.guards import lift_guards
from cashback.database.payouts import approvals, fingerprints
from cashback.database.tables import Moment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

VALID = timedelta(days=14)
OPEN = "('proposed', 'approved', 'running', 'stopped', 'completed_with_failures')"

ADDED = {
    "referrals": ("cashback_refunded_cents", "cashback_forfeited_cents", "cashback_charged_cents"),
    "cashback_payout_reversals": ("recovered_cents",),
}

PAID_SHARES = """
INSERT INTO cashback_payout_shares
    (batch_number, referrer_id, referral_id, payable_cents, refunded_cents, paid_cents, returned_cents)
WITH paid AS (
    SELECT batch_number, referrer_id, paid_cents AS cents,
        sum(paid_cents) OVER (PARTITION BY referrer_id ORDER BY batch_number) - paid_cents AS below
    FROM cashback_payouts WHERE status = 'credited'
), marked AS (
    SELECT id, referrer_user_id, cashback_paid_cents - cashback_paid_elsewhere_cents AS cents,
        sum(cashback_paid_cents - cashback_paid_elsewhere_cents) OVER (PARTITION BY referrer_user_id ORDER BY id)
            - (cashback_paid_cents - cashback_paid_elsewhere_cents) AS below
    FROM referrals WHERE cashback_paid_cents > cashback_paid_elsewhere_cents
), covered AS (
    SELECT paid.batch_number, paid.referrer_id, marked.id,
        CASE WHEN paid.below + paid.cents < marked.below + marked.cents
            THEN paid.below + paid.cents ELSE marked.below + marked.cents END
        - CASE WHEN paid.below > marked.below THEN paid.below ELSE marked.below END AS cents
    FROM paid JOIN marked ON marked.referrer_user_id = paid.referrer_id
        AND marked.below < paid.below + paid.cents AND paid.below < marked.below + marked.cents
)
SELECT batch_number, referrer_id, id, cents, 0, cents, 0 FROM covered
"""

OPEN_SHARES = """
INSERT INTO cashback_payout_shares
    (batch_number, referrer_id, referral_id, payable_cents, refunded_cents, paid_cents, returned_cents)
WITH pending AS (
    SELECT id, referrer_user_id, cashback_paid_cents, cashback_refunded_cents,
        cashback_earned_cents - cashback_paid_cents AS cents,
        sum(cashback_earned_cents - cashback_paid_cents) OVER (PARTITION BY referrer_user_id ORDER BY id)
            - (cashback_earned_cents - cashback_paid_cents) AS below
    FROM referrals WHERE cashback_earned_cents > cashback_paid_cents
)
SELECT p.batch_number, p.referrer_id, pending.id,
    pending.cashback_paid_cents + CASE WHEN pending.cents < p.approved_cents - pending.below
        THEN pending.cents ELSE p.approved_cents - pending.below END,
    pending.cashback_refunded_cents, 0, 0
FROM cashback_payouts p JOIN pending ON pending.referrer_user_id = p.referrer_id
WHERE p.status IN ('planned', 'failed') AND pending.below < p.approved_cents
"""

REFUNDED = """
UPDATE referrals SET cashback_refunded_cents = (
    SELECT coalesce(sum(taken_cents), 0) FROM cashback_referral_refunds f WHERE f.referral_id = referrals.id)
WHERE id IN (SELECT referral_id FROM cashback_referral_refunds)
"""

RETURNED = """
WITH newest AS (
    SELECT s.batch_number, s.referrer_id, s.referral_id, s.paid_cents, t.amount_cents,
        sum(s.paid_cents) OVER (PARTITION BY s.batch_number, s.referrer_id ORDER BY s.referral_id DESC)
            - s.paid_cents AS newer
    FROM cashback_payout_reversals t JOIN cashback_payout_shares s
        ON s.batch_number = t.batch_number AND s.referrer_id = t.referrer_id
)
UPDATE cashback_payout_shares SET returned_cents = (
    SELECT CASE WHEN n.amount_cents - n.newer < n.paid_cents THEN n.amount_cents - n.newer ELSE n.paid_cents END
    FROM newest n WHERE n.batch_number = cashback_payout_shares.batch_number
        AND n.referrer_id = cashback_payout_shares.referrer_id AND n.referral_id = cashback_payout_shares.referral_id)
WHERE (batch_number, referrer_id, referral_id) IN (
    SELECT batch_number, referrer_id, referral_id FROM newest WHERE amount_cents > newer)
"""

FORFEITED = """
UPDATE referrals SET cashback_forfeited_cents = (
    SELECT sum(returned_cents) FROM cashback_payout_shares s WHERE s.referral_id = referrals.id)
WHERE id IN (SELECT referral_id FROM cashback_payout_shares WHERE returned_cents > 0)
"""

OFFSET = """
UPDATE referrals SET
    cashback_paid_cents = cashback_paid_cents - {offset}, cashback_forfeited_cents = cashback_forfeited_cents - {offset}
WHERE cashback_forfeited_cents > 0 AND cashback_paid_cents > cashback_earned_cents
""".replace(
    "{offset}",
    "CASE WHEN cashback_forfeited_cents < cashback_paid_cents - cashback_earned_cents"
    " THEN cashback_forfeited_cents ELSE cashback_paid_cents - cashback_earned_cents END",
)
"""What was both refunded and reversed was taken twice: it is owed no more."""

CHARGED = """
UPDATE referrals SET cashback_charged_cents = cashback_paid_cents - cashback_earned_cents
WHERE cashback_paid_cents > cashback_earned_cents AND id IN (SELECT referral_id FROM cashback_referral_refunds)
"""


def upgrade() -> None:
    """Add what is new, then write it for what is there."""
    connection = op.get_bind()
    lift_guards(connection)
    _allow_lapsed(connection)
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, Column(column, BigInteger(), nullable=False, server_default="0"))
    op.add_column("cashback_payout_batches", Column("token", Text()))
    op.add_column("cashback_payout_batches", Column("lapses_at", Moment()))
    op.add_column("cashback_reversals", Column("token", Text()))
    _create_shares()
    op.drop_index("cashback_referral_purchases_held", "cashback_referral_purchases")
    op.create_index(
        "cashback_referral_purchases_by_referral",
        "cashback_referral_purchases",
        ["referral_id", "payable_at"],
        sqlite_where=text("referral_id IS NOT NULL"),
        postgresql_where=text("referral_id IS NOT NULL"),
    )
    for statement in (PAID_SHARES, REFUNDED, OPEN_SHARES, RETURNED, FORFEITED, OFFSET, CHARGED):
        op.execute(statement)
    if connection.scalars(text("SELECT adopted FROM cashback_origin")).one():
        origins.record_adoption(connection, context.config.attributes["now"])
    _renew_open(connection)


def _allow_lapsed(connection: Connection) -> None:
    """Let a batch be `lapsed`. SQLite's manual names this way of changing a CHECK: only the table's text changes."""
    if connection.dialect.name != "sqlite":
        known = "'proposed', 'approved', 'running', 'stopped', 'completed', 'completed_with_failures', 'cancelled'"
        op.execute("ALTER TABLE cashback_payout_batches DROP CONSTRAINT status_known")
        op.execute(
            "ALTER TABLE cashback_payout_batches ADD CONSTRAINT status_known"
            f" CHECK (status IN ({known}, 'expired', 'lapsed'))"
        )
        return
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'cashback_payout_batches'",
        (
            "'completed_with_failures', 'cancelled', 'expired'",
            "'completed_with_failures', 'cancelled', 'expired', 'lapsed'",
        ),
    )
    assert changed.rowcount == 1  # noqa: S101 -- the table is there since the first schema
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")


def _create_shares() -> None:
    op.create_table(
        "cashback_payout_shares",
        Column("batch_number", BigInteger(), primary_key=True, nullable=False),
        Column("referrer_id", BigInteger(), primary_key=True, nullable=False),
        Column("referral_id", BigInteger(), primary_key=True, nullable=False),
        Column("payable_cents", BigInteger(), nullable=False),
        Column("refunded_cents", BigInteger(), server_default="0", nullable=False),
        Column("paid_cents", BigInteger(), server_default="0", nullable=False),
        Column("returned_cents", BigInteger(), server_default="0", nullable=False),
        ForeignKeyConstraint(["referral_id"], ["referrals.id"]),
        ForeignKeyConstraint(
            ["batch_number", "referrer_id"], ["cashback_payouts.batch_number", "cashback_payouts.referrer_id"]
        ),
        CheckConstraint("paid_cents >= 0 AND paid_cents <= payable_cents", name="pays_no_more_than_was_shown"),
        CheckConstraint("returned_cents BETWEEN 0 AND paid_cents", name="returned_once"),
        sqlite_with_rowid=False,
    )


def _renew_open(connection: Connection) -> None:
    """Give what is open a token, an end of its approval, and an audit entry with its plan as it stands now."""
    now: datetime = context.config.attributes["now"]
    open_ones = text(f"SELECT number, approved_at FROM cashback_payout_batches WHERE status IN {OPEN}").columns(  # noqa: S608 -- our own words
        number=BigInteger(), approved_at=Moment()
    )
    renew = text("UPDATE cashback_payout_batches SET token = :token, lapses_at = :lapses WHERE number = :number")
    renew = renew.bindparams(bindparam("lapses", type_=Moment()))
    for number, approved_at in connection.execute(open_ones).all():
        lapses = approved_at + VALID if approved_at is not None else None
        token = approvals.new_token()
        connection.execute(renew, {"token": token, "lapses": lapses, "number": number})
        details = {"plan": fingerprints.of_plan(connection, number), "token": token}
        add_entry(
            connection,
            at=now,
            actor="system",
            action=fingerprints.RECORDED,
            batch_number=number,
            details=details,
        )
    query = "SELECT number FROM cashback_reversals WHERE status = 'proposed'"
    for (number,) in connection.execute(text(query)).all():
        connection.execute(
            text("UPDATE cashback_reversals SET token = :token WHERE number = :number"),
            {"token": approvals.new_token(), "number": number},
        )
