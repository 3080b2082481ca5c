"""Creates a new ledger, or adopts an Apex Core bot's tables in place.

Adopted tables only get new columns with defaults, indexes and triggers. The one exception is an amount that is NULL,
which becomes the 0 that it means.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Index, Table, insert, inspect, update
from sqlalchemy.schema import CreateColumn, CreateTable

from cashback.database import origins
from cashback.database.currencies import DOLLARS
from cashback.database.guards import create_guards
from cashback.database.tables import (
    INDEXES,
    cashback_origin,
    has_usable_amounts,
    metadata,
    referrals,
    users,
    wallet_transactions,
)
from cashback.domain.errors import DatabaseUnavailableError

NEEDED: Final = {
    users: {"discord_id", "wallet_balance_cents", "created_at", "updated_at"},
    referrals: {
        "id",
        "referrer_user_id",
        "referred_user_id",
        "referred_total_spend_cents",
        "cashback_earned_cents",
        "cashback_paid_cents",
        "is_blacklisted",
        "created_at",
    },
    wallet_transactions: {
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
"""The shared tables, and the columns without which a table of that name is another program's."""

ADDED: Final = (
    referrals.c.cashback_carry_ppm,
    referrals.c.cashback_paid_elsewhere_cents,
    referrals.c.cashback_held_until,
    referrals.c.cashback_refunded_cents,
    referrals.c.cashback_forfeited_cents,
    referrals.c.cashback_charged_cents,
    referrals.c.cashback_unlinked_at,
    referrals.c.cashback_intake_number,
    wallet_transactions.c.cashback_payout_batch_number,
)
"""Our columns in shared tables."""


def create_or_adopt(connection: Connection, now: datetime) -> None:
    """Create the missing tables and add to the shared ones, inside the caller's transaction.

    Raises DatabaseUnavailableError if a shared table lacks columns that an Apex Core bot's table has.
    """
    found = inspect(connection).get_table_names()
    adopted = [table for table in NEEDED if table.name in found]
    for table in adopted:
        _require_columns(connection, table)
    for table in metadata.sorted_tables:
        if table not in adopted:
            connection.execute(CreateTable(table))
    for column in ADDED:
        if column.table in adopted:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}")
    if referrals in adopted:
        _take_over_amounts(connection)
    for index in INDEXES:
        if not _has_twin(connection, index):
            index.create(connection)
    create_guards(connection)
    currency, decimals = DOLLARS if adopted else (None, None)
    origin = {"adopted": int(bool(adopted)), "started_at": now, "currency": currency, "decimals": decimals}
    connection.execute(insert(cashback_origin).values(id=1, **origin))
    if adopted:
        origins.record_adoption(connection, now)


def _require_columns(connection: Connection, table: Table) -> None:
    missing = NEEDED[table] - {column["name"] for column in inspect(connection).get_columns(table.name)}
    if missing:
        names = ", ".join(sorted(missing))
        message = f"The database has a table {table.name} without {names}: it is no Apex Core file; name another."
        raise DatabaseUnavailableError(message)


def _take_over_amounts(connection: Connection) -> None:
    """Replace NULL by 0, because a sum with NULL would lose cents; earlier payments have no payout of ours."""
    amounts = ("referred_total_spend_cents", "cashback_earned_cents", "cashback_paid_cents", "is_blacklisted")
    for column in (referrals.c[name] for name in amounts):
        connection.execute(update(referrals).where(column.is_(None)).values({column: 0}))
    paid = referrals.c.cashback_paid_cents
    connection.execute(
        update(referrals).where(paid != 0, has_usable_amounts).values(cashback_paid_elsewhere_cents=paid)
    )


def _has_twin(connection: Connection, index: Index) -> bool:
    """Return whether the table has an index of another name on the same columns that serves the same queries."""
    assert index.table is not None  # noqa: S101 -- each is declared on its table's columns
    if index.unique or index.dialect_kwargs["sqlite_where"] is not None:
        return False
    columns = [column.name for column in index.columns]
    condition = f"{connection.dialect.name}_where"
    return any(
        found["column_names"] == columns and condition not in found.get("dialect_options", {})
        for found in inspect(connection).get_indexes(index.table.name)
    )
