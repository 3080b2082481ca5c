"""A ledger as a program of the first schema left it, with the rows of a ledger of today."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import inspect
from sqlalchemy.engine import URL

from cashback.database import schema
from cashback.database.dialect import Location, make_engine
from cashback.database.tables import OWN, metadata
from tests.conftest import raw, rows

RENAMED_COLUMNS = {"cashback_unlinked_at": "unlinked_at", "cashback_payout_batch_number": "payout_batch_number"}


def create(location: Location, now: datetime) -> None:
    """Run the first migration alone, and keep its revision as programs of that time did."""
    engine = make_engine(location, writes=True)
    with engine.begin() as connection:
        schema.migrate(connection, "0001", now)
        connection.exec_driver_sql(f"DROP TABLE {schema.VERSION_TABLE}")
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version"
            " (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0001')")
    engine.dispose()


def old_name(table: str) -> str:
    """Return what a table was called in the first schema."""
    return table if table == "cashback_origin" else table.removeprefix(OWN)


def columns_of(location: Location, table: str) -> set[str]:
    """Return the names of a table's columns; an empty set if there is no such table."""
    engine = make_engine(location, writes=False)
    with engine.connect() as connection:
        found = inspect(connection)
        names = {str(column["name"]) for column in found.get_columns(table)} if found.has_table(table) else set()
    engine.dispose()
    return names


def fill(location: Location, source: Location) -> None:
    """Write the rows of a ledger of today into one of the first schema."""
    with raw(location) as connection:
        connection.execute("DELETE FROM cashback_origin")
        for table in metadata.sorted_tables:
            if not (there := columns_of(location, old_name(table.name))):
                continue
            names = [column.name for column in table.c if RENAMED_COLUMNS.get(column.name, column.name) in there]
            listed = ", ".join(RENAMED_COLUMNS.get(name, name) for name in names)
            values = ", ".join("?" * len(names))
            for row in rows(source, f"SELECT {', '.join(names)} FROM {table.name}"):
                connection.execute(f"INSERT INTO {old_name(table.name)} ({listed}) VALUES ({values})", row)
            if isinstance(location, URL) and (number := table.autoincrement_column) is not None:
                sequence = f"pg_get_serial_sequence('{old_name(table.name)}', '{number.name}')"
                connection.execute(f"SELECT setval({sequence}, max({number.name})) FROM {old_name(table.name)}")
