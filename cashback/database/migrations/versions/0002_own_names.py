"""Everything of ours begins with `cashback_`, so that no name of another bot's is ever in the way.

Tables, their indexes and triggers, and our columns in shared tables are renamed; no row is changed. The version moved
to a table of that name before: what stays under the old one is a revision that an older program does not know.
"""

import re

from alembic import op
from sqlalchemy import Connection, inspect, text

from cashback.database.migrations.first_guards import REFUSED

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OWN = "cashback_"
TABLES = (
    "payout_batches",
    "payouts",
    "payout_exclusions",
    "payout_attempts",
    "reversals",
    "payout_reversals",
    "notifications",
    "dm_channels",
    "notification_preferences",
    "referral_blacklist",
    "referral_purchases",
    "referral_refunds",
    "absent_members",
    "schedule_slots",
    "schedule_state",
    "audit_log",
    "announcements",
    "dashboard_links",
    "dashboard_sessions",
    "leases",
    "slot_posts",
)
COLUMNS = {"referrals": "unlinked_at", "wallet_transactions": "payout_batch_number"}
INDEXES = (
    "payout_batches_failed",
    "payout_batches_open",
    "notifications_queued",
    "notifications_settled",
    "audit_log_by_batch",
    "referrals_by_referrer",
    "referrals_pending",
    "referrals_overpaid",
    "referrals_held",
    "referrals_blacklisted",
    "referral_purchases_held",
    "referral_purchases_refunded",
    "referral_refunds_by_order",
    "referral_refunds_by_referral",
    "wallet_transactions_by_user",
    "wallet_transactions_one_per_payout",
)
WHOLE = {"referrals_by_referrer": "referrals", "wallet_transactions_by_user": "wallet_transactions"}
"""Indexes of shared tables that the other bot may have too, under a name of its own."""

OF_A_MOVED_LEDGER = re.compile(r"moved_(\w+_(?:closed|stopped))")


def upgrade() -> None:
    """Rename what the first migration made."""
    connection = op.get_bind()
    for index, table in WHOLE.items():
        _drop_if_there_is_a_twin(connection, index, table)
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} RENAME TO {OWN}{table}")
    for table, column in COLUMNS.items():
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO {OWN}{column}")
    if connection.dialect.name == "sqlite":
        _rename_in_sqlite(connection)
    else:
        _rename_in_postgresql(connection)
    op.execute(f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608 -- our own name


def _drop_if_there_is_a_twin(connection: Connection, index: str, table: str) -> None:
    found = {each["name"]: each for each in inspect(connection).get_indexes(table)}
    own = found.pop(index, None)
    condition = f"{connection.dialect.name}_where"
    twins = (each for each in found.values() if condition not in each.get("dialect_options", {}))
    if own and any(each["column_names"] == own["column_names"] for each in twins):
        op.execute(f"DROP INDEX {index}")


def _new_name(trigger: str) -> str | None:
    """Return the new name of a trigger of ours; None for one that is not."""
    if moved := OF_A_MOVED_LEDGER.fullmatch(trigger):
        return OWN + moved[1]
    return OWN + trigger if trigger.removesuffix("_all") in REFUSED else None


def _rename_in_sqlite(connection: Connection) -> None:
    """Create indexes and triggers again under their new names; SQLite has already put those of the tables into them."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    for kind, name, statement in connection.exec_driver_sql(f"{query} ORDER BY rowid").all():
        new = _new_name(name) if kind == "trigger" else OWN + name if name in INDEXES else None
        if new is not None:
            connection.exec_driver_sql(f"DROP {kind} {name}")
            connection.exec_driver_sql(re.sub(rf'"?\b{name}\b"?', new, statement, count=1))


def _rename_in_postgresql(connection: Connection) -> None:
    for index in INDEXES:
        op.execute(f"ALTER INDEX IF EXISTS {index} RENAME TO {OWN}{index}")
    for table in TABLES:
        _rename_parts(connection, table)
    query = "SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal"
    for name, table in connection.execute(text(query)).all():
        new = _new_name(name)
        if new is not None:
            op.execute(f"ALTER TRIGGER {name} ON {table} RENAME TO {new}")


def _rename_parts(connection: Connection, table: str) -> None:
    """Rename a table's keys, the indexes that uphold them, and the sequence of its numbers."""
    constraints = text("SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:table)")
    for name in connection.scalars(constraints, {"table": OWN + table}).all():
        if name.startswith(f"{table}_"):
            op.execute(f"ALTER TABLE {OWN}{table} RENAME CONSTRAINT {name} TO {OWN}{name}")
    for column in ("id", "number"):
        op.execute(f"ALTER SEQUENCE IF EXISTS {table}_{column}_seq RENAME TO {OWN}{table}_{column}_seq")
