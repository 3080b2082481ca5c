"""A ledger of the first schema gets the names of today, on both databases, and goes on as before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from cashback.database import Database, schema
from cashback.database.dialect import Location
from cashback.database.referral_program import links
from cashback.database.tables import metadata
from cashback.domain.errors import DatabaseUnavailableError
from tests.cashback.database import apex_core, first_ledger
from tests.conftest import REFUSED, SQLITE, Clock, LedgerFixture, raw, rows

pytestmark = pytest.mark.anyio

SHARED = {"users", "referrals", "wallet_transactions"}


@pytest.fixture
def old(kind: str, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest) -> Iterator[Location]:
    """Make a ledger of the first schema without rows."""
    if kind == SQLITE:
        first_ledger.create(tmp_path / "old.db", clock())
        yield tmp_path / "old.db"
        return
    server = request.getfixturevalue("postgresql")
    address = server.create()
    first_ledger.create(address, clock())
    yield address
    server.drop(address)


@pytest.fixture
async def lived(ledger: LedgerFixture) -> LedgerFixture:
    """Create a present ledger with payouts, an unlinked referral, a blacklisted member and a proposal."""
    buyers = await ledger.earn(10, 250, 90)
    await ledger.earn(20, 300)
    await ledger.pay()
    await ledger.database.blacklist_referral_user(20)
    await ledger.earn(10, 40)
    await ledger.database.write(links.unlink, 10, buyers[0], reason=None, actor="cli", now=ledger.clock())
    await ledger.propose()
    return ledger


Columns = dict[str, list[str]]


def first_columns(old: Location) -> Columns:
    """Return the columns of the first schema by their tables, as both are called today."""
    found = {table: first_ledger.columns_of(old, first_ledger.old_name(table.name)) for table in metadata.sorted_tables}
    renamed = first_ledger.RENAMED_COLUMNS
    return {
        table.name: [column.name for column in table.c if renamed.get(column.name, column.name) in there]
        for table, there in found.items()
        if there
    }


def contents(location: Location, columns: Columns) -> dict[str, list[tuple[object, ...]]]:
    """Read the rows of all tables, but those of the audit log that a migration wrote."""
    written = " WHERE action <> 'plan_recorded'"
    return {
        table: sorted(
            rows(location, f"SELECT {', '.join(names)} FROM {table}{written if 'audit_log' in table else ''}"), key=repr
        )
        for table, names in columns.items()
    }


def declared(location: Location) -> list[tuple[object, ...]]:
    """List all tables, indexes, constraints and triggers by name; of a file with their text."""
    if isinstance(location, URL):
        return rows(
            location,
            "SELECT relkind::text, relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_class c"
            " WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'constraint', conname, conrelid::regclass::text || pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE conrelid <> 0 AND connamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
            " UNION ALL SELECT 'column', table_name || '.' || column_name, column_default"
            " FROM information_schema.columns WHERE table_schema = 'public'"
            " UNION ALL SELECT 'trigger', tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
            " ORDER BY 1, 2, 3",
        )
    return [
        (
            kind,
            name,
            # A column that a migration adds stands behind the constraints.
            sorted(re.findall(r"[\w'%:]+|[<>=|]+", text)),
        )
        for kind, name, text in rows(
            location, "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1, 2"
        )
    ]


async def test_first_schema_ledger_keeps_every_row(old: Location, lived: LedgerFixture, clock: Clock) -> None:
    columns = first_columns(old)
    first_ledger.fill(old, lived.location)
    async with Database(old, clock=clock) as database:
        assert contents(old, columns) == contents(lived.location, columns)
        there = LedgerFixture(database, clock)
        there._buyers, there._orders = 950_000, 1_000
        assert (await there.verify()).breaches == ()
        await there.earn(10, 500)
        assert (await there.pay()).total_cents == 540
        assert (await there.verify()).breaches == ()


async def test_migrated_ledger_equals_a_new_one(old: Location, ledger: LedgerFixture, clock: Clock) -> None:
    async with Database(old, clock=clock):
        pass
    assert declared(old) == declared(ledger.location)


async def test_older_program_finds_unknown_revision(old: Location, ledger: LedgerFixture) -> None:
    async with Database(old):
        pass
    for location in (old, ledger.location):
        assert rows(location, "SELECT version_num FROM alembic_version") == [(schema.MARK,)]
        assert rows(location, "SELECT version_num FROM cashback_alembic_version") == [(schema.NEWEST,)]


async def test_migrated_ledger_has_its_guards(old: Location, lived: LedgerFixture) -> None:
    first_ledger.fill(old, lived.location)
    async with Database(old):
        pass
    for change, reason in (
        ("UPDATE cashback_audit_log SET actor = 'x'", "only ever added to"),
        ("DELETE FROM cashback_payouts", "only ever added to"),
        ("UPDATE wallet_transactions SET amount_cents = 1", "only ever added to"),
        ("UPDATE referrals SET cashback_paid_cents = 100000", "more would be paid than was earned"),
    ):
        with raw(old) as connection, pytest.raises(REFUSED, match=reason):
            connection.execute(change)


async def test_moved_ledger_stays_closed_after_migration(old: Location, clock: Clock) -> None:
    reason = "this ledger was moved to another database; name that one"
    with raw(old) as connection:
        connection.execute(
            "CREATE TRIGGER moved_audit_log_closed BEFORE INSERT ON audit_log"
            f" BEGIN SELECT RAISE(ABORT, '{reason}'); END"
        )
    async with Database(old, clock=clock) as database:
        with pytest.raises(Exception, match="was moved to another database"):
            await database.blacklist_referral_user(5)


async def test_ledger_of_newer_program_is_refused(old: Location) -> None:
    with raw(old) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0777'")
    with pytest.raises(DatabaseUnavailableError, match="schema 0777 of a newer version; update this program"):
        await Database(old).connect()


async def test_failed_migration_changes_nothing(old: Location, clock: Clock) -> None:
    with raw(old) as connection:
        connection.execute("CREATE TABLE cashback_slot_posts (id INTEGER)")
    before = declared(old)
    with pytest.raises(DatabaseUnavailableError, match="cashback_slot_posts"):
        await Database(old, clock=clock).connect()
    assert declared(old) == before
    with raw(old) as connection:
        connection.execute("DROP TABLE cashback_slot_posts")
    async with Database(old, clock=clock):
        pass


@pytest.mark.about_a_file("only a file is another bot's")
async def test_earlier_adopted_file_is_migrated_without_duplicate_index(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "apex_core.db"
    with raw(path) as connection:
        connection.executescript(apex_core.SHARED_TABLES + apex_core.ROWS)
    first_ledger.create(path, clock())
    async with Database(path, clock=clock) as database:
        ledger = LedgerFixture(database, clock)
        assert (await ledger.pay()).total_cents == 340
        assert (await ledger.verify()).breaches == ()
    apex_core.add_others(path)
    apex_core.work_on_others(path)
    names = {name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert "idx_referrals_referrer" in names
    assert not {"cashback_referrals_by_referrer", "referrals_by_referrer"} & names


@pytest.mark.about_a_file("names of files")
async def test_all_our_objects_have_our_prefix(old: Location, ledger: LedgerFixture) -> None:
    async with Database(old):
        pass
    for location in (old, ledger.location):
        found = rows(location, "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
        plain = {name for (name,) in found if not name.startswith("cashback_")}
        assert plain == {*SHARED, "alembic_version"}
