"""An Apex Core bot's file is adopted as it is, and that bot goes on working on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from cashback.database import Database
from cashback.database.adoption import ADDED
from cashback.database.tables import OWN, metadata
from cashback.domain.errors import CashbackError, DatabaseUnavailableError, NothingPendingError
from tests.cashback.database import apex_core
from tests.conftest import Clock, LedgerFixture, raw, rows

pytestmark = pytest.mark.anyio


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """Write an old bot's file."""
    return apex_core.create(tmp_path / "apex_core.db")


@pytest.fixture
async def adopted(old_file: Path, clock: Clock) -> AsyncIterator[LedgerFixture]:
    """Adopt it."""
    async with Database(old_file, clock=clock) as database:
        ledger = LedgerFixture(database, clock)
        yield ledger
        assert (await ledger.verify()).breaches == ()


async def test_adoption_changes_no_row(old_file: Path, clock: Clock) -> None:
    before = apex_core.old_rows(old_file)
    for _ in range(2):
        async with Database(old_file, clock=clock):
            assert apex_core.old_rows(old_file) == before
    assert rows(old_file, "SELECT count(*) FROM open_tickets") == [(1,)]
    assert rows(old_file, "SELECT seq FROM sqlite_sequence WHERE name = 'wallet_transactions'") == [(2,)]
    assert rows(old_file, "PRAGMA foreign_key_check") == []
    assert rows(old_file, "PRAGMA integrity_check") == [("ok",)]


async def test_pending_cashback_of_adopted_rows_is_paid(adopted: LedgerFixture) -> None:
    assert await adopted.database.get_all_pending_referral_cashbacks() == [
        {"referrer_id": 10, "pending_cents": 250, "referral_count": 2},
        {"referrer_id": 20, "pending_cents": 90, "referral_count": 1},
    ]
    report = await adopted.pay()
    assert (report.users_paid, report.total_cents) == (2, 340)
    assert (adopted.balance(10), adopted.balance(20), adopted.balance(30)) == (1484, 90, 77)
    assert adopted.rows(
        "SELECT id, amount_cents, balance_after_cents, transaction_type, description, metadata FROM wallet_transactions"
        " WHERE cashback_payout_batch_number IS NOT NULL"
    ) == [
        (
            3,
            250,
            1484,
            "referral_cashback",
            "Referral cashback - 2 active referrals",
            '{"batch_id": "BATCH-20260703-150000", "referral_count": 2}',
        ),
        (
            4,
            90,
            90,
            "referral_cashback",
            "Referral cashback - 1 active referral",
            '{"batch_id": "BATCH-20260703-150000", "referral_count": 1}',
        ),
    ]


async def test_change_by_other_bot_is_a_remark(adopted: LedgerFixture) -> None:
    verdict = await adopted.verify()
    assert verdict.balanced
    assert any(remark.startswith("wallet of 10 holds 1234 cents") for remark in verdict.remarks)


async def test_earnings_lowered_after_payout_are_a_breach(old_file: Path) -> None:
    async with Database(old_file, clock=Clock()) as database:
        ledger = LedgerFixture(database, Clock())
        await ledger.pay()
        with raw(old_file) as connection:
            connection.execute("UPDATE referrals SET cashback_paid_cents = 0 WHERE referrer_user_id = 20")
        assert not (await ledger.verify()).balanced


@pytest.mark.parametrize("paid_first", [False, True])
async def test_statements_of_other_bot_still_work(adopted: LedgerFixture, *, paid_first: bool) -> None:
    if paid_first:
        await adopted.pay()
    apex_core.work_on(adopted.path)
    assert (await adopted.verify()).balanced
    assert await adopted.pending(20) == 0
    assert await adopted.pending(50) == 100
    assert (await adopted.database.get_pending_cashback_for_user(40))["is_blacklisted"]
    report = await adopted.pay()
    assert report.total_cents == (100 if paid_first else 350)
    assert adopted.balance(10) == 1234 - 34 + 250


async def test_moments_are_read_in_all_python_and_sqlite_formats(adopted: LedgerFixture) -> None:
    for referrer_id in (10, 20, 30, 40):
        for referral in await adopted.database.get_referrals(referrer_id):
            assert referral["created_at"] is None or referral["created_at"].tzinfo is not None


async def test_purchases_accrue_on_adopted_referrals(adopted: LedgerFixture) -> None:
    assert await adopted.database.log_referral_purchase(21, 77, 399) == 1
    assert await adopted.database.log_referral_purchase(21, 78, 1) == 1
    assert await adopted.database.log_referral_purchase(31, 79, 10_000) is None
    assert await adopted.pending(20) == 92


async def test_null_amount_in_adopted_row_loses_no_cent(old_file: Path, clock: Clock) -> None:
    """The old columns have defaults but allow NULL."""
    with raw(old_file) as connection:
        connection.execute("INSERT INTO users (discord_id) VALUES (60), (61)")
        connection.execute("INSERT INTO referrals VALUES (20, 60, 61, NULL, NULL, NULL, NULL, NULL)")
    async with Database(old_file, clock=clock) as database:
        assert await database.log_referral_purchase(61, 1, 20_000) == 100
        ledger = LedgerFixture(database, clock)
        assert await ledger.pending(60) == 100
        await ledger.pay()
        assert ledger.balance(60) == 100
        assert (await ledger.verify()).balanced


async def test_referrer_without_wallet_gets_one(old_file: Path, clock: Clock) -> None:
    """The old bot looks at no foreign keys, so its file may hold a referral of somebody without a row."""
    with raw(old_file) as connection:
        connection.execute(
            "INSERT INTO referrals (referrer_user_id, referred_user_id, cashback_earned_cents) VALUES (70, 71, 30)"
        )
    async with Database(old_file, clock=clock) as database:
        ledger = LedgerFixture(database, clock)
        report = await ledger.pay()
        assert (report.users_paid, report.total_cents) == (3, 370)
        assert ledger.balance(70) == 30
        assert (await ledger.verify()).balanced


async def test_earlier_overpayment_is_a_remark(old_file: Path, clock: Clock) -> None:
    with raw(old_file) as connection:
        connection.execute("UPDATE referrals SET cashback_paid_cents = 900 WHERE id = 9")
    async with Database(old_file, clock=clock) as database:
        verdict = await LedgerFixture(database, clock).verify()
        assert verdict.balanced
        assert any("referral 9 earned 10 cents and was paid 900" in remark for remark in verdict.remarks)


@pytest.mark.parametrize("table", ["users", "referrals", "wallet_transactions"])
async def test_foreign_table_with_shared_name_is_refused_and_unchanged(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.db"
    with raw(path) as connection:
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, name TEXT)")
    with pytest.raises(DatabaseUnavailableError, match=f"has a table {table} without .*no Apex Core file"):
        await Database(path).connect()
    assert rows(path, "SELECT name FROM sqlite_master") == [(table,)]


async def test_file_with_some_tables_gets_the_missing_ones(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "part.db"
    with raw(path) as connection:
        connection.executescript(apex_core.SHARED_TABLES.split("CREATE TABLE referrals", maxsplit=1)[0])
        connection.execute("INSERT INTO users (discord_id, wallet_balance_cents) VALUES (1, 500)")
    async with Database(path, clock=clock) as database:
        ledger = LedgerFixture(database, clock)
        await ledger.earn(1, 20)
        await ledger.pay()
        assert ledger.balance(1) == 520
        assert (await ledger.verify()).balanced


async def test_concurrent_writes_of_other_bot_are_paid_by_the_next_batch(
    adopted: LedgerFixture,
) -> None:
    rounds = 60
    finished = anyio.Event()

    async def work() -> None:
        await anyio.to_thread.run_sync(apex_core.go_on_working, adopted.path, rounds)
        finished.set()

    with anyio.fail_after(50):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            number = 0
            while not finished.is_set():
                number += 1
                assert await adopted.database.log_referral_purchase(12, f"ours-{number}", 400) == 2
                assert await adopted.database.log_referral_refund(f"ours-{number}", 200) == 1
                with suppress(NothingPendingError):
                    assert (await adopted.pay(chunk_size=1)).failed == 0
        with suppress(NothingPendingError):
            await adopted.pay()
    assert await adopted.database.get_all_pending_referral_cashbacks() == []
    assert adopted.balance(10) == 1234 + 250 + 7 * rounds + number
    assert adopted.balance(20) == 90 - rounds
    assert adopted.balance(50) == 3 * rounds
    assert (await adopted.verify()).breaches == ()


PLAIN_NAMES = {table.removeprefix(OWN) for table in metadata.tables if table.startswith(OWN)} - {*apex_core.OTHERS}


def bytes_in(folder: Path) -> dict[str, bytes]:
    """Read every file in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("others_first", [True, False])
async def test_full_file_of_other_bot_is_adopted_paid_and_verified(
    tmp_path: Path, clock: Clock, *, others_first: bool
) -> None:
    """Its tables are there before, or an update of that bot makes them later."""
    path = apex_core.create(tmp_path / "apex_core.db", others=others_first)
    async with Database(path, clock=clock) as database:
        ledger = LedgerFixture(database, clock)
        if not others_first:
            apex_core.add_others(path)
        before = apex_core.old_rows(path)
        assert (await ledger.pay()).total_cents == 340
        apex_core.work_on_others(path)
        apex_core.work_on(path)
        assert (await ledger.pay()).total_cents == 100
        assert (await ledger.verify()).breaches == ()
    after = apex_core.old_rows(path)
    assert {table: after[table] for table in apex_core.OTHERS} == {table: before[table] for table in apex_core.OTHERS}


async def test_objects_added_at_adoption_have_our_prefix(old_file: Path, clock: Clock) -> None:
    def names() -> set[object]:
        kinds = "SELECT type || ' ' || name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"
        columns = "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c"
        return {name for query in (kinds, columns) for (name,) in rows(old_file, query)}

    before = names()
    async with Database(old_file, clock=clock):
        pass
    added = {str(name).split(" ")[-1] for name in names() - before}
    assert not {name for name in added if OWN not in name}
    assert {name for name in added if not name.startswith(OWN)} == {
        f"{column.table.name}.{column.name}" for column in ADDED
    }


@pytest.mark.parametrize("paid", [False, True])
async def test_later_foreign_table_does_not_interfere(adopted: LedgerFixture, *, paid: bool) -> None:
    if paid:
        await adopted.pay()
    with raw(adopted.path) as connection:
        for name in (*PLAIN_NAMES, "alembic_version"):
            connection.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, version_num TEXT)")
            connection.execute(f"INSERT INTO {name} (version_num) VALUES ('of another bot')")
    await adopted.database.close()
    await adopted.database.connect()
    await adopted.earn(10, 30)
    assert (await adopted.pay()).total_cents == (30 if paid else 370)
    assert {adopted.rows(f"SELECT version_num FROM {name}")[0][0] for name in PLAIN_NAMES} == {"of another bot"}


async def test_file_with_own_alembic_is_adopted(old_file: Path, clock: Clock) -> None:
    with raw(old_file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('ae1027a6acf')")
    async with Database(old_file, clock=clock) as database:
        assert (await LedgerFixture(database, clock).pay()).total_cents == 340
    assert rows(old_file, "SELECT version_num FROM alembic_version") == [("ae1027a6acf",)]


async def test_adoption_adds_no_equivalent_index(adopted: LedgerFixture) -> None:
    found = adopted.rows(
        "SELECT tbl_name, (SELECT group_concat(name) FROM pragma_index_info(m.name)),"
        " substr(sql, instr(sql || ' WHERE ', ' WHERE ')) FROM sqlite_master m WHERE type = 'index' AND sql IS NOT NULL"
    )
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize(
    "obstacle",
    [
        "ALTER TABLE referrals RENAME COLUMN is_blacklisted TO barred",
        "CREATE TABLE cashback_slot_posts (id INTEGER)",
        "ALTER TABLE wallet_transactions ADD COLUMN cashback_payout_batch_number INTEGER",
        "CREATE TRIGGER refuses BEFORE UPDATE ON referrals BEGIN SELECT RAISE(ABORT, 'not now'); END",
    ],
)
async def test_failed_adoption_changes_no_byte(old_file: Path, clock: Clock, mode: str, obstacle: str) -> None:
    with raw(old_file) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute(obstacle)
    before = bytes_in(old_file.parent)
    assert list(before) == [old_file.name]
    for _ in range(2):
        with pytest.raises(CashbackError) as refused:
            await Database(old_file, clock=clock).connect()
        assert "\n" not in str(refused.value)
        assert bytes_in(old_file.parent) == before


@pytest.mark.parametrize("cache_pages", [None, 10])
async def test_adoption_failing_at_its_end_changes_no_byte(
    old_file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, cache_pages: int | None
) -> None:
    """Also if the transaction was larger than the cache, and so was written into the file before it failed."""
    if cache_pages:
        monkeypatch.setattr("cashback.database.dialect.FOR_THE_WRITER", (f"cache_size={cache_pages}",))
    with raw(old_file) as connection:
        connection.execute(
            "INSERT INTO referrals (referrer_user_id, referred_user_id, cashback_earned_cents, cashback_paid_cents)"
            " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
            " SELECT 10, 10000 + i, 7, 7 FROM n"
        )
    before = bytes_in(old_file.parent)

    def fail(moment: str) -> None:
        if moment == "before commit":
            raise DatabaseUnavailableError(moment)

    with pytest.raises(DatabaseUnavailableError, match="before commit"):
        await Database(old_file, clock=clock, failpoint=fail).connect()
    assert bytes_in(old_file.parent) == before


async def test_adopted_file_is_in_wal_mode(adopted: LedgerFixture) -> None:
    assert adopted.rows("PRAGMA journal_mode") == [("wal",)]


async def test_adoption_during_a_write_is_refused_and_changes_no_byte(
    old_file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cashback.database.dialect.BUSY_TIMEOUT_SECONDS", 0.05)
    before = bytes_in(old_file.parent)
    with raw(old_file) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailableError, match="is in use by another program; try again"):
            await Database(old_file, clock=clock).connect()
        other.execute("ROLLBACK")
    assert bytes_in(old_file.parent) == before
    async with Database(old_file, clock=clock):
        assert rows(old_file, "SELECT adopted FROM cashback_origin") == [(1,)]
