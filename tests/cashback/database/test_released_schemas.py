"""Ledgers of every schema that a version had: each is upgraded, or refused in one line; no released schema changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cashback.database import Database, schema
from cashback.database.dialect import make_engine
from cashback.database.integrity import reconciliation
from cashback.database.tables import metadata
from cashback.domain.errors import DatabaseUnavailableError
from tests.cashback.database import first_ledger
from tests.cashback.database.test_taken_once import refund, reverse
from tests.conftest import FRIDAY, REFUSED, LedgerFixture, raw, rows
from tests.examples import first_of

pytestmark = [pytest.mark.anyio, pytest.mark.about_a_file("test_own_names.py upgrades the first schema on a server")]

REVISIONS = sorted(path.name.partition("_")[0] for path in schema.MIGRATIONS.glob("versions/[0-9]*.py"))
RELEASED = {
    "0001": "8ef8cf1d0b14d729",
    "0002": "944079108ee3b76b",
    "0003": "72df05b117af8235",
    "0004": "9a1c96cdbb4a392b",
    "0005": "1a9e9705a66df681",
    "0006": "c9b976bbd9763dfa",
    "0007": "9079777d57597792",
    "0008": "27b77251de01898f",
    "0009": "76cb219ab925403b",
    "0010": "c2c78334728a12d6",
    "0011": "45a152320fccbf35",
    "0012": "08defbbbad3d5a73",
    "0013": "2b4209943de58c61",
    "0014": "56dd68741c8f4190",
    "0015": "a0097dc0ccbe9fb0",
    "0016": "2115ac5a20a0ff8c",
    "0017": "df7df5dad8468ff8",
    "0018": "4b1347924b968dad",
}
"""What ledgers in use may have, by the digests of their tables and indexes. A new migration adds a line."""


def make(path: Path, revision: str) -> Path:
    """Make an empty ledger of a schema, by the migrations up to it."""
    first_ledger.create(path, FRIDAY)
    if revision == REVISIONS[0]:
        return path
    engine = make_engine(path, writes=True)
    with engine.begin() as connection:
        schema._stamp(connection, schema.VERSION_TABLE, REVISIONS[0])
        schema.migrate(connection, revision, FRIDAY)
    engine.dispose()
    return path


def digest_of(path: Path) -> str:
    """Digest the tables and indexes of a file; each upgrade creates the triggers again."""
    query = "SELECT name, sql FROM sqlite_master WHERE type <> 'trigger' AND sql IS NOT NULL ORDER BY name"
    return hashlib.sha256(repr(rows(path, query)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("revision", first_of(REVISIONS))
async def test_ledger_of_each_schema_is_upgraded_and_pays(tmp_path: Path, revision: str) -> None:
    path = make(tmp_path / "old.db", revision)
    assert rows(path, f"SELECT version_num FROM {version_table(revision)}") == [(revision,)]
    async with Database(path, clock=lambda: FRIDAY) as database:
        ledger = LedgerFixture(database, lambda: FRIDAY)
        await ledger.earn(5, 100)
        await ledger.pay()
        assert (await database.read(reconciliation.verify)).breaches == ()
        assert await database.read(schema.revision_of) == schema.NEWEST


def version_table(revision: str) -> str:
    return schema.OLD_VERSION_TABLE if revision == REVISIONS[0] else schema.VERSION_TABLE


@pytest.mark.parametrize("revision", first_of(REVISIONS[:-1]))
async def test_ledger_of_an_older_schema_is_refused_in_one_line_by_a_reader(tmp_path: Path, revision: str) -> None:
    path = make(tmp_path / "old.db", revision)
    with pytest.raises(DatabaseUnavailableError) as refusal:
        async with Database(path, may_upgrade=False):
            pass
    assert str(refusal.value).count("\n") == 0
    assert f"has the schema {revision} of an older version" in str(refusal.value)


@pytest.mark.parametrize("revision", first_of(REVISIONS[1:-1]))
async def test_moved_ledger_of_an_older_schema_is_closed_after_its_upgrade_too(tmp_path: Path, revision: str) -> None:
    path = make(tmp_path / "old.db", revision)
    with raw(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in set(names) & metadata.tables.keys():
            connection.execute(
                f"CREATE TRIGGER cashback_{table.removeprefix('cashback_')}_closed BEFORE INSERT ON {table}"
                " BEGIN SELECT RAISE(ABORT, 'this ledger was moved to /new.db on 2026-07-03'); END"
            )
    async with Database(path, clock=lambda: FRIDAY):
        pass
    with raw(path) as connection:
        for table in metadata.tables:
            for change in (f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}"):
                rows_there = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                if rows_there or change.startswith("INSERT"):
                    with pytest.raises(REFUSED, match=r"was moved to /new\.db on |only ever added to"):
                        connection.execute(change)


@pytest.mark.parametrize("revision", ["9999", "0000", "2f1c", "*", ""])
async def test_ledger_of_an_unknown_schema_is_refused_in_one_line_and_not_changed(
    tmp_path: Path, revision: str
) -> None:
    path = make(tmp_path / "new.db", schema.NEWEST)
    with raw(path) as connection:
        connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = ?", [revision])
    before = digest_of(path)
    with pytest.raises(DatabaseUnavailableError) as refusal:
        async with Database(path):
            pass
    assert str(refusal.value).count("\n") == 0
    assert digest_of(path) == before


@pytest.mark.parametrize("revision", REVISIONS)
def test_released_schema_is_as_it_was_released(tmp_path: Path, revision: str) -> None:
    """A migration that was released is never edited: what ledgers have would differ by the day of their upgrade."""
    assert digest_of(make(tmp_path / "old.db", revision)) == RELEASED[revision]


async def test_what_refunds_and_reversals_took_is_divided_among_the_payouts(tmp_path: Path) -> None:
    """The schema before had it for each referral only; here for a payout that is reversed and one that is charged."""
    path, query = tmp_path / "old.db", "SELECT charged_cents, forfeited_cents FROM cashback_payout_shares ORDER BY 1, 2"
    async with Database(path, clock=lambda: FRIDAY) as database:
        ledger = LedgerFixture(database, lambda: FRIDAY)
        await ledger.earn(1, 100)
        await ledger.earn(2, 100)
        batch = (await ledger.pay()).batch_number
        await reverse(ledger, batch, 1)
        await refund(ledger, 2, 40)
    before = rows(path, query)
    assert before == [(0, 100), (40, 0)]
    with raw(path) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("DROP INDEX cashback_payout_shares_charged")
        for column in ("charged_cents", "forfeited_cents"):
            connection.execute(f"ALTER TABLE cashback_payout_shares DROP COLUMN {column}")
        connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0017'")
    async with Database(path, clock=lambda: FRIDAY) as database:
        verdict = await database.read(reconciliation.verify)
    assert (rows(path, query), verdict.breaches) == (before, ())
