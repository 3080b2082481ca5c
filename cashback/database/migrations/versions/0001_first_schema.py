"""The first schema: creates a new file, or adopts an Apex Core bot's file in place.

Of an adopted file nothing is changed but by adding: columns with defaults, indexes, triggers and our own tables. The
one exception is an amount that is NULL, which becomes the 0 that it means.

Its names are as they were: the next migration renames what it made. New files begin in `cashback/database/adoption.py`.
"""

from alembic import context, op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    inspect,
    text,
)

from cashback.database.migrations.first_guards import create_guards
from cashback.database.tables import Key, Moment
from cashback.domain.errors import DatabaseUnavailableError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NEEDED = {
    "users": {"discord_id", "wallet_balance_cents", "created_at", "updated_at"},
    "referrals": {
        "id",
        "referrer_user_id",
        "referred_user_id",
        "referred_total_spend_cents",
        "cashback_earned_cents",
        "cashback_paid_cents",
        "is_blacklisted",
        "created_at",
    },
    "wallet_transactions": {
        "id",
        "user_discord_id",
        "amount_cents",
        "balance_after_cents",
        "transaction_type",
        "description",
        "metadata",
        "created_at",
    },
}


def upgrade() -> None:
    """Create what is missing and add to what is there."""
    connection = op.get_bind()
    found = inspect(connection).get_table_names()
    adopted = [table for table in NEEDED if table in found]
    for table in adopted:
        _check_columns(connection, table)
    for table, create in CREATES.items():
        if table not in adopted:
            create()
    _create_ours()
    if "referrals" in adopted:
        op.add_column("referrals", Column("cashback_carry_ppm", Integer(), server_default="0", nullable=False))
        op.add_column(
            "referrals", Column("cashback_paid_elsewhere_cents", BigInteger(), server_default="0", nullable=False)
        )
        op.add_column("referrals", Column("cashback_held_until", Moment(), nullable=True))
        op.add_column("referrals", Column("unlinked_at", Moment(), nullable=True))
        # An explicit NULL means what the column's default says; a sum with it would lose cents.
        for column in ("referred_total_spend_cents", "cashback_earned_cents", "cashback_paid_cents", "is_blacklisted"):
            op.execute(f"UPDATE referrals SET {column} = 0 WHERE {column} IS NULL")  # noqa: S608 -- our own names
        # What stands as paid already has no payout of ours behind it.
        op.execute(
            "UPDATE referrals SET cashback_paid_elsewhere_cents = cashback_paid_cents WHERE cashback_paid_cents <> 0"
        )
    if "wallet_transactions" in adopted:
        op.add_column("wallet_transactions", Column("payout_batch_number", BigInteger(), nullable=True))
    _create_indexes()
    create_guards(connection)
    now = context.config.attributes["now"]
    origin = {"adopted": int(bool(adopted)), "now": now.replace(tzinfo=None).isoformat(" ", "microseconds")}
    connection.execute(text("INSERT INTO cashback_origin (id, adopted, started_at) VALUES (1, :adopted, :now)"), origin)


def _check_columns(connection: Connection, table: str) -> None:
    """Refuse a file whose table of this name is another program's."""
    missing = NEEDED[table] - {column["name"] for column in inspect(connection).get_columns(table)}
    if missing:
        names = ", ".join(sorted(missing))
        message = f"The database has a table {table} without {names}: it is no Apex Core file; name another."
        raise DatabaseUnavailableError(message)


def _create_users() -> None:
    op.create_table(
        "users",
        Column("id", Key, autoincrement=True, nullable=False),
        Column("discord_id", BigInteger(), nullable=False),
        Column("wallet_balance_cents", BigInteger(), server_default="0", nullable=False),
        Column("total_lifetime_spent_cents", BigInteger(), server_default="0", nullable=False),
        Column("has_client_role", Integer(), server_default="0", nullable=False),
        Column("manually_assigned_roles", Text(), nullable=True),
        Column("created_at", Moment(), server_default=text("CURRENT_TIMESTAMP"), nullable=True),
        Column("updated_at", Moment(), server_default=text("CURRENT_TIMESTAMP"), nullable=True),
        PrimaryKeyConstraint("id"),
        UniqueConstraint("discord_id"),
        sqlite_autoincrement=True,
    )


def _create_referrals() -> None:
    op.create_table(
        "referrals",
        Column("id", Key, autoincrement=True, nullable=False),
        Column("referrer_user_id", BigInteger(), nullable=False),
        Column("referred_user_id", BigInteger(), nullable=False),
        Column("referred_total_spend_cents", BigInteger(), server_default="0", nullable=False),
        Column("cashback_earned_cents", BigInteger(), server_default="0", nullable=False),
        Column("cashback_paid_cents", BigInteger(), server_default="0", nullable=False),
        Column("is_blacklisted", Integer(), server_default="0", nullable=False),
        Column("created_at", Moment(), server_default=text("CURRENT_TIMESTAMP"), nullable=True),
        Column("cashback_carry_ppm", Integer(), server_default="0", nullable=False),
        Column("cashback_paid_elsewhere_cents", BigInteger(), server_default="0", nullable=False),
        Column("cashback_held_until", Moment(), nullable=True),
        Column("unlinked_at", Moment(), nullable=True),
        ForeignKeyConstraint(["referred_user_id"], ["users.discord_id"]),
        ForeignKeyConstraint(["referrer_user_id"], ["users.discord_id"]),
        PrimaryKeyConstraint("id"),
        UniqueConstraint("referred_user_id"),
        sqlite_autoincrement=True,
    )


def _create_wallet_transactions() -> None:
    op.create_table(
        "wallet_transactions",
        Column("id", Key, autoincrement=True, nullable=False),
        Column("user_discord_id", BigInteger(), nullable=False),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("balance_after_cents", BigInteger(), nullable=False),
        Column("transaction_type", Text(), nullable=False),
        Column("description", Text(), nullable=True),
        Column("order_id", BigInteger(), nullable=True),
        Column("ticket_id", BigInteger(), nullable=True),
        Column("staff_discord_id", BigInteger(), nullable=True),
        Column("metadata", Text(), nullable=True),
        Column("created_at", Moment(), server_default=text("CURRENT_TIMESTAMP"), nullable=True),
        Column("payout_batch_number", BigInteger(), nullable=True),
        ForeignKeyConstraint(["user_discord_id"], ["users.discord_id"]),
        PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _create_ours() -> None:
    op.create_table(
        "payout_batches",
        Column("number", Key, autoincrement=True, nullable=False),
        Column("batch_id", Text(), nullable=True),
        Column("mode", Text(), nullable=False),
        Column("status", Text(), nullable=False),
        Column("target_user_id", BigInteger(), nullable=True),
        Column("slot_at", Moment(), nullable=True),
        Column("proposed_by", Text(), nullable=False),
        Column("proposed_at", Moment(), nullable=False),
        Column("expires_at", Moment(), nullable=True),
        Column("needs_second_approver", Text(), nullable=True),
        Column("first_approved_by", Text(), nullable=True),
        Column("first_approved_at", Moment(), nullable=True),
        Column("approved_by", Text(), nullable=True),
        Column("approver_id", BigInteger(), nullable=True),
        Column("approved_at", Moment(), nullable=True),
        Column("started_at", Moment(), nullable=True),
        Column("finished_at", Moment(), nullable=True),
        Column("selected_count", BigInteger(), nullable=True),
        Column("unusual", Text(), nullable=True),
        Column("left_out_count", BigInteger(), server_default="0", nullable=False),
        Column("planned_count", BigInteger(), server_default="0", nullable=False),
        Column("planned_cents", BigInteger(), server_default="0", nullable=False),
        Column("credited_count", BigInteger(), server_default="0", nullable=False),
        Column("credited_cents", BigInteger(), server_default="0", nullable=False),
        Column("failed_count", BigInteger(), server_default="0", nullable=False),
        Column("skipped_count", BigInteger(), server_default="0", nullable=False),
        CheckConstraint("(mode = 'individual') = (target_user_id IS NOT NULL)", name="target_matches_mode"),
        CheckConstraint("batch_id IS NOT NULL OR status IN ('proposed', 'cancelled', 'expired')", name="paid_has_id"),
        CheckConstraint(
            "needs_second_approver IS NULL OR status IN ('proposed', 'cancelled', 'expired')"
            " OR (first_approved_by IS NOT NULL AND approved_by IS NOT NULL AND approver_id IS NOT NULL"
            " AND proposed_by NOT LIKE '%:' || approver_id AND first_approved_by NOT LIKE '%:' || approver_id)",
            name="approved_by_two",
        ),
        CheckConstraint("mode IN ('batch', 'individual')", name="mode_known"),
        CheckConstraint(
            "status IN ('proposed', 'approved', 'running', 'stopped', 'completed', 'completed_with_failures',"
            " 'cancelled', 'expired')",
            name="status_known",
        ),
        PrimaryKeyConstraint("number"),
        UniqueConstraint("batch_id"),
        UniqueConstraint("slot_at"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "payouts",
        Column("batch_number", BigInteger(), nullable=False),
        Column("referrer_id", BigInteger(), nullable=False),
        Column("status", Text(), server_default="planned", nullable=False),
        Column("approved_cents", BigInteger(), nullable=False),
        Column("referral_count", BigInteger(), nullable=False),
        Column("paid_cents", BigInteger(), server_default="0", nullable=False),
        Column("reason", Text(), nullable=True),
        Column("settled_at", Moment(), nullable=True),
        CheckConstraint("(status = 'credited') = (paid_cents > 0)", name="credited_means_paid"),
        CheckConstraint("status IN ('planned', 'credited', 'failed', 'skipped')", name="status_known"),
        CheckConstraint("approved_cents > 0", name="approves_something"),
        CheckConstraint("paid_cents BETWEEN 0 AND approved_cents", name="never_more_than_approved"),
        ForeignKeyConstraint(["batch_number"], ["payout_batches.number"]),
        ForeignKeyConstraint(["referrer_id"], ["users.discord_id"]),
        PrimaryKeyConstraint("batch_number", "referrer_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "payout_exclusions",
        Column("batch_number", BigInteger(), nullable=False),
        Column("referrer_id", BigInteger(), nullable=False),
        Column("pending_cents", BigInteger(), nullable=False),
        Column("reason", Text(), nullable=False),
        Column("turns", Integer(), server_default="0", nullable=False),
        ForeignKeyConstraint(["batch_number"], ["payout_batches.number"]),
        PrimaryKeyConstraint("batch_number", "referrer_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "payout_attempts",
        Column("batch_number", BigInteger(), nullable=False),
        Column("referrer_id", BigInteger(), nullable=False),
        Column("attempt", Integer(), nullable=False),
        Column("requested_by", Text(), nullable=False),
        Column("requested_at", Moment(), nullable=False),
        Column("why", Text(), nullable=True),
        Column("failed_before", Text(), nullable=True),
        Column("outcome", Text(), nullable=True),
        Column("reason", Text(), nullable=True),
        Column("settled_at", Moment(), nullable=True),
        CheckConstraint("attempt > 0", name="retries_count_from_one"),
        CheckConstraint("outcome IN ('credited', 'failed', 'skipped')", name="outcome_known"),
        CheckConstraint("(outcome IS NULL) = (settled_at IS NULL)", name="settled_has_moment"),
        ForeignKeyConstraint(["batch_number", "referrer_id"], ["payouts.batch_number", "payouts.referrer_id"]),
        PrimaryKeyConstraint("batch_number", "referrer_id", "attempt"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reversals",
        Column("number", Key, autoincrement=True, nullable=False),
        Column("batch_number", BigInteger(), nullable=False),
        Column("referrer_id", BigInteger(), nullable=True),
        Column("reason", Text(), nullable=False),
        Column("status", Text(), nullable=False),
        Column("proposed_by", Text(), nullable=False),
        Column("proposed_at", Moment(), nullable=False),
        Column("expires_at", Moment(), nullable=False),
        Column("needs_second_approver", Text(), nullable=True),
        Column("first_approved_by", Text(), nullable=True),
        Column("approved_by", Text(), nullable=True),
        Column("approver_id", BigInteger(), nullable=True),
        Column("finished_at", Moment(), nullable=True),
        Column("planned_count", BigInteger(), nullable=False),
        Column("planned_cents", BigInteger(), nullable=False),
        Column("reversed_cents", BigInteger(), server_default="0", nullable=False),
        Column("shortfall_cents", BigInteger(), server_default="0", nullable=False),
        CheckConstraint("status IN ('proposed', 'done', 'cancelled')", name="status_known"),
        CheckConstraint("planned_count > 0 AND planned_cents > 0", name="takes_something"),
        CheckConstraint(
            "status <> 'done' OR (approved_by IS NOT NULL AND reversed_cents + shortfall_cents = planned_cents)",
            name="done_adds_up",
        ),
        CheckConstraint(
            "needs_second_approver IS NULL OR status <> 'done' OR (first_approved_by IS NOT NULL"
            " AND approver_id IS NOT NULL AND proposed_by NOT LIKE '%:' || approver_id"
            " AND first_approved_by NOT LIKE '%:' || approver_id)",
            name="approved_by_two",
        ),
        ForeignKeyConstraint(["batch_number"], ["payout_batches.number"]),
        PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "payout_reversals",
        Column("batch_number", BigInteger(), nullable=False),
        Column("referrer_id", BigInteger(), nullable=False),
        Column("reversal_number", BigInteger(), nullable=False),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("shortfall_cents", BigInteger(), nullable=False),
        Column("transaction_id", BigInteger(), nullable=True),
        CheckConstraint("amount_cents >= 0 AND shortfall_cents >= 0", name="takes_no_more_than_there_is"),
        CheckConstraint("(amount_cents > 0) = (transaction_id IS NOT NULL)", name="taken_by_transaction"),
        ForeignKeyConstraint(["batch_number", "referrer_id"], ["payouts.batch_number", "payouts.referrer_id"]),
        ForeignKeyConstraint(["reversal_number"], ["reversals.number"]),
        ForeignKeyConstraint(["transaction_id"], ["wallet_transactions.id"]),
        PrimaryKeyConstraint("batch_number", "referrer_id"),
        UniqueConstraint("transaction_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "notifications",
        Column("id", Key, autoincrement=True, nullable=False),
        Column("batch_number", BigInteger(), nullable=False),
        Column("user_id", BigInteger(), nullable=False),
        Column("status", Text(), server_default="queued", nullable=False),
        Column("attempts", Integer(), server_default="0", nullable=False),
        Column("next_attempt_at", Moment(), nullable=True),
        Column("last_error", Text(), nullable=True),
        Column("sent_at", Moment(), nullable=True),
        CheckConstraint("status IN ('queued', 'sent', 'undeliverable', 'failed', 'muted')", name="status_known"),
        ForeignKeyConstraint(["batch_number"], ["payout_batches.number"]),
        PrimaryKeyConstraint("id"),
        UniqueConstraint("batch_number", "user_id", name="one_notice_per_payout"),
    )
    op.create_table(
        "dm_channels",
        Column("user_id", BigInteger(), autoincrement=False, nullable=False),
        Column("channel_id", BigInteger(), nullable=False),
        PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "notification_preferences",
        Column("user_id", BigInteger(), autoincrement=False, nullable=False),
        Column("payout_dm", Integer(), server_default="1", nullable=False),
        PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "referral_blacklist",
        Column("user_id", BigInteger(), autoincrement=False, nullable=False),
        Column("reason", Text(), nullable=True),
        Column("blacklisted_by", Text(), nullable=False),
        Column("blacklisted_at", Moment(), nullable=False),
        PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "referral_purchases",
        Column("order_id", Text(), nullable=False),
        Column("buyer_id", BigInteger(), nullable=False),
        Column("referral_id", BigInteger(), nullable=True),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("rate_ppm", Integer(), nullable=False),
        Column("earned_cents", BigInteger(), nullable=False),
        Column("purchased_at", Moment(), nullable=False),
        Column("recorded_at", Moment(), nullable=False),
        Column("payable_at", Moment(), nullable=True),
        Column("refunded_cents", BigInteger(), server_default="0", nullable=False),
        CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
        CheckConstraint("refunded_cents BETWEEN 0 AND amount_cents", name="never_refunded_beyond_its_amount"),
        CheckConstraint("rate_ppm BETWEEN 0 AND 1000000", name="rate_is_a_share"),
        ForeignKeyConstraint(["referral_id"], ["referrals.id"]),
        PrimaryKeyConstraint("order_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "referral_refunds",
        Column("refund_id", Text(), nullable=False),
        Column("order_id", Text(), nullable=False),
        Column("referral_id", BigInteger(), nullable=True),
        Column("amount_cents", BigInteger(), nullable=False),
        Column("taken_cents", BigInteger(), nullable=False),
        Column("reason", Text(), nullable=True),
        Column("refunded_by", Text(), nullable=False),
        Column("refunded_at", Moment(), nullable=False),
        CheckConstraint("amount_cents > 0", name="refunds_something"),
        CheckConstraint("taken_cents >= 0", name="never_gives"),
        ForeignKeyConstraint(["order_id"], ["referral_purchases.order_id"]),
        ForeignKeyConstraint(["referral_id"], ["referrals.id"]),
        PrimaryKeyConstraint("refund_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "absent_members",
        Column("user_id", BigInteger(), autoincrement=False, nullable=False),
        Column("kind", Text(), nullable=False),
        Column("noted_at", Moment(), nullable=False),
        CheckConstraint("kind IN ('left', 'gone')", name="kind_known"),
        PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "schedule_slots",
        Column("slot_at", Moment(), nullable=False),
        Column("status", Text(), nullable=False),
        Column("batch_number", BigInteger(), nullable=True),
        Column("reason", Text(), nullable=True),
        Column("decided_by", Text(), nullable=False),
        Column("decided_at", Moment(), nullable=False),
        CheckConstraint("status IN ('batched', 'nothing_pending', 'skipped', 'missed')", name="status_known"),
        CheckConstraint("(status = 'batched') = (batch_number IS NOT NULL)", name="batched_has_batch"),
        ForeignKeyConstraint(["batch_number"], ["payout_batches.number"]),
        PrimaryKeyConstraint("slot_at"),
        UniqueConstraint("batch_number"),
    )
    op.create_table(
        "schedule_state",
        Column("id", Integer(), nullable=False),
        Column("rule", Text(), nullable=False),
        Column("in_force_since", Moment(), nullable=False),
        Column("grace_hours", Integer(), nullable=False),
        Column("notice_hours", Integer(), nullable=False),
        Column("paused_by", Text(), nullable=True),
        Column("paused_reason", Text(), nullable=True),
        Column("paused_at", Moment(), nullable=True),
        CheckConstraint("id = 1", name="one_schedule"),
        PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "audit_log",
        Column("id", Key, autoincrement=True, nullable=False),
        Column("at", Moment(), nullable=False),
        Column("actor", Text(), nullable=False),
        Column("action", Text(), nullable=False),
        Column("batch_number", BigInteger(), nullable=True),
        Column("details", Text(), nullable=False),
        Column("digest", Text(), nullable=False),
        PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "announcements",
        Column("batch_number", BigInteger(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("channel_id", BigInteger(), nullable=False),
        Column("message_id", BigInteger(), nullable=True),
        Column("is_final", Integer(), server_default="0", nullable=False),
        CheckConstraint("kind IN ('summary', 'audit')", name="kind_known"),
        ForeignKeyConstraint(["batch_number"], ["payout_batches.number"]),
        PrimaryKeyConstraint("batch_number", "kind"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dashboard_links",
        Column("digest", Text(), nullable=False),
        Column("user_id", BigInteger(), nullable=True),
        Column("issued_at", Moment(), nullable=False),
        Column("expires_at", Moment(), nullable=False),
        Column("used_at", Moment(), nullable=True),
        PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dashboard_sessions",
        Column("digest", Text(), nullable=False),
        Column("user_id", BigInteger(), nullable=True),
        Column("began_at", Moment(), nullable=False),
        Column("expires_at", Moment(), nullable=False),
        Column("ended_at", Moment(), nullable=True),
        PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        Column("name", Text(), nullable=False),
        Column("holder", Text(), nullable=True),
        Column("fence", BigInteger(), nullable=False),
        Column("beat", BigInteger(), nullable=False),
        Column("milliseconds", BigInteger(), nullable=False),
        CheckConstraint("fence > 0", name="fence_positive"),
        PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "slot_posts",
        Column("slot_at", Moment(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("channel_id", BigInteger(), nullable=False),
        Column("message_id", BigInteger(), nullable=True),
        Column("is_final", Integer(), server_default="0", nullable=False),
        CheckConstraint("kind IN ('notice', 'outcome')", name="kind_known"),
        PrimaryKeyConstraint("slot_at", "kind"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cashback_origin",
        Column("id", Integer(), nullable=False),
        Column("adopted", Integer(), nullable=False),
        Column("started_at", Moment(), nullable=False),
        PrimaryKeyConstraint("id"),
    )


def _create_indexes() -> None:
    op.create_index(
        "payout_batches_failed",
        "payout_batches",
        ["number"],
        unique=False,
        sqlite_where=text("status = 'completed_with_failures'"),
        postgresql_where=text("status = 'completed_with_failures'"),
    )
    op.create_index(
        "payout_batches_open",
        "payout_batches",
        ["number"],
        unique=False,
        sqlite_where=text("status IN ('proposed', 'approved', 'running')"),
        postgresql_where=text("status IN ('proposed', 'approved', 'running')"),
    )
    op.create_index(
        "notifications_queued",
        "notifications",
        ["id"],
        unique=False,
        sqlite_where=text("status = 'queued'"),
        postgresql_where=text("status = 'queued'"),
    )
    op.create_index(
        "notifications_settled",
        "notifications",
        ["batch_number", "status"],
        unique=False,
        sqlite_where=text("status != 'queued'"),
        postgresql_where=text("status != 'queued'"),
    )
    op.create_index("audit_log_by_batch", "audit_log", ["batch_number", "id"], unique=False)
    op.create_index("referrals_by_referrer", "referrals", ["referrer_user_id"], unique=False)
    op.create_index(
        "referrals_pending",
        "referrals",
        ["referrer_user_id", "id"],
        unique=False,
        sqlite_where=text("cashback_earned_cents > cashback_paid_cents"),
        postgresql_where=text("cashback_earned_cents > cashback_paid_cents"),
    )
    op.create_index(
        "referrals_overpaid",
        "referrals",
        ["referrer_user_id"],
        unique=False,
        sqlite_where=text("cashback_earned_cents < cashback_paid_cents"),
        postgresql_where=text("cashback_earned_cents < cashback_paid_cents"),
    )
    op.create_index(
        "referrals_held",
        "referrals",
        ["cashback_held_until"],
        unique=False,
        sqlite_where=text("cashback_held_until IS NOT NULL"),
        postgresql_where=text("cashback_held_until IS NOT NULL"),
    )
    # The last of its table: of indexes that SQLite holds for equal it takes the youngest, and this one is small.
    op.create_index(
        "referrals_blacklisted",
        "referrals",
        ["referrer_user_id"],
        unique=False,
        sqlite_where=text("is_blacklisted != 0"),
        postgresql_where=text("is_blacklisted != 0"),
    )
    op.create_index(
        "referral_purchases_held",
        "referral_purchases",
        ["referral_id", "payable_at"],
        unique=False,
        sqlite_where=text("payable_at IS NOT NULL"),
        postgresql_where=text("payable_at IS NOT NULL"),
    )
    op.create_index(
        "referral_purchases_refunded",
        "referral_purchases",
        ["order_id"],
        unique=False,
        sqlite_where=text("refunded_cents > 0"),
        postgresql_where=text("refunded_cents > 0"),
    )
    op.create_index("referral_refunds_by_order", "referral_refunds", ["order_id"], unique=False)
    op.create_index("referral_refunds_by_referral", "referral_refunds", ["referral_id"], unique=False)
    op.create_index("wallet_transactions_by_user", "wallet_transactions", ["user_discord_id"], unique=False)
    op.create_index(
        "wallet_transactions_one_per_payout",
        "wallet_transactions",
        ["payout_batch_number", "user_discord_id"],
        unique=True,
        sqlite_where=text("payout_batch_number IS NOT NULL"),
        postgresql_where=text("payout_batch_number IS NOT NULL"),
    )


CREATES = {"users": _create_users, "referrals": _create_referrals, "wallet_transactions": _create_wallet_transactions}
