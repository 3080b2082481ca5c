"""The schema: a new ledger matches `tables.py`; test_own_names.py compares a migrated one with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from cashback.database import schema
from cashback.database.guards import _KEYS, _REFUSED
from cashback.database.tables import metadata
from tests.conftest import LedgerFixture

pytestmark = pytest.mark.anyio


def test_new_file_has_the_declared_tables(new_ledger: Path) -> None:
    engine = create_engine(f"sqlite:///{new_ledger}")
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "version_table": schema.VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, metadata)
        assert [(kind, table.name) for kind, table in differences] == [("remove_table", schema.OLD_VERSION_TABLE)]
    engine.dispose()


def test_new_file_has_the_declared_constraints(new_ledger: Path) -> None:
    """Alembic compares no CHECK constraints, no AUTOINCREMENT and no partial indexes' conditions: the text does."""

    def words(statement: str) -> list[str]:
        body = statement.partition("(")[2].rpartition(")")
        return sorted(part.strip(" ,") for part in [*body[0].splitlines(), body[2]] if part.strip(" ,"))

    declared = create_engine("sqlite://")
    metadata.create_all(declared)
    created = create_engine(f"sqlite:///{new_ledger}")
    query = text("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%alembic_version'")
    found = []
    for engine in (declared, created):
        with engine.connect() as connection:
            rows = connection.execute(query).all()
            found.append(
                {
                    row.name: words(row.sql) if row.type == "table" else " ".join(row.sql.split())
                    for row in rows
                    if row.type != "trigger"
                }
            )
        engine.dispose()
    assert found[0] == found[1]


def test_newest_is_the_latest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.NEWEST]


@pytest.mark.about_a_file("of a server tests/cashback/database/test_postgresql.py asks the same")
async def test_file_has_every_guard(ledger: LedgerFixture) -> None:
    assert ledger.rows("SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1") == [
        (name,) for name in sorted([*_REFUSED, *(f"{table}_not_replaced" for table in _KEYS)])
    ]


@pytest.mark.parametrize("table", _KEYS)
def test_replaced_rows_are_found_by_the_tables_key(table: str) -> None:
    assert tuple(column.name for column in metadata.tables[table].primary_key) == _KEYS[table]


@pytest.mark.about_a_file("a server keeps its files by its own settings")
async def test_file_settings_survive_a_power_cut(ledger: LedgerFixture) -> None:
    pragmas = {
        pragma: await ledger.database.write(
            lambda connection, name: connection.exec_driver_sql(f"PRAGMA {name}").scalar(), pragma
        )
        for pragma in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
