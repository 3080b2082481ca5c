"""`restore`: a checked backup takes the ledger's place, and nothing pays from it before it was compared."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import anyio
import pytest

from cashback.background.lease import Lease
from cashback.database import Database
from tests.cashback.database import first_ledger
from tests.cli.conftest import Cashback
from tests.conftest import FRIDAY, LedgerFixture, drop_guards, raw, rows


@pytest.fixture
def backed_up(seeded: Cashback) -> Cashback:
    """Take a backup of the sample, then pay everybody."""
    assert seeded("schedule", "--reload").code == 0
    assert seeded("backup", "copy.db").code == 0
    assert seeded("pay", "--yes").code == 0
    return seeded


def wallets(path: Path) -> int:
    return int(rows(path, "SELECT coalesce(sum(wallet_balance_cents), 0) FROM users")[0][0])


def test_restored_ledger_is_the_backup_and_the_old_one_is_kept(backed_up: Cashback, folder: Path) -> None:
    answer = backed_up("restore", "copy.db", "--yes")
    assert answer.code == 0
    [aside] = folder.glob("cashback.before-restore-*.db")
    assert (wallets(folder / "cashback.db"), wallets(aside)) == (0, 12_750)
    assert backed_up("verify").code == 0
    assert backed_up("verify", "--database", aside).code == 0
    assert "is paused" in answer.err
    assert backed_up("schedule", "--json").json["paused_by"] == "cli"
    assert sorted(path.name for path in folder.iterdir() if "restoring" in path.name) == []


def test_restored_ledger_has_an_identity_of_its_own(backed_up: Cashback, folder: Path) -> None:
    first = backed_up("restore", "copy.db", "--yes", "--json").json
    second = backed_up("restore", "copy.db", "--database", "other.db", "--yes", "--json").json
    assert first["ledger_id"] != second["ledger_id"]
    assert first["audit_head"] == second["audit_head"]
    names = ("cashback.db", "other.db")
    heads = {backed_up("verify", "--json", "--database", name).json["audit_head"] for name in names}
    assert len(heads) == 2
    assert second["before"] is None


def test_head_of_something_paid_after_the_backup_is_missing(backed_up: Cashback) -> None:
    kept = backed_up("verify", "--json").json["audit_head"]
    answer = backed_up("restore", "copy.db", "--yes", "--head", kept)
    assert "kept elsewhere: 1; the backup lacks 1, so something was recorded after it" in answer.out
    assert "was not compared" in answer.out
    assert backed_up("restore", "copy.db", "--yes", "--json", "--head", kept).json["heads_missing"] == [kept]


def test_head_that_the_backup_has_is_found(seeded: Cashback) -> None:
    assert seeded("schedule", "--reload").code == 0
    kept = seeded("verify", "--json").json["audit_head"]
    assert seeded("backup", "copy.db").code == 0
    assert seeded("restore", "copy.db", "--yes", "--json", "--head", kept).json["heads_missing"] == []


def test_proposal_of_the_backup_is_cancelled_and_a_batch_under_way_is_stopped(seeded: Cashback, folder: Path) -> None:
    assert seeded("schedule", "--reload").code == 0

    async def prepare() -> None:
        async with Database(folder / "cashback.db") as database:
            ledger = LedgerFixture(database, database.now)
            [(one,)] = rows(folder / "cashback.db", "SELECT min(referrer_user_id) FROM referrals")
            await ledger.approved(target_user_id=one)
            await ledger.propose()

    anyio.run(prepare)
    assert seeded("backup", "copy.db").code == 0
    assert seeded("restore", "copy.db", "--yes").code == 0
    query = "SELECT status FROM cashback_payout_batches ORDER BY number"
    assert rows(folder / "cashback.db", query) == [("stopped",), ("cancelled",)]
    assert seeded("verify").code == 0


def test_answer_no_restores_nothing(backed_up: Cashback, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    before = wallets(folder / "cashback.db")
    assert "Nothing was restored" in backed_up("restore", "copy.db").out
    assert wallets(folder / "cashback.db") == before
    assert list(folder.glob("*restor*")) == []
    assert list(folder.glob(".*restoring*")) == []


def test_wrong_files_are_refused_in_one_line_and_nothing_changes(backed_up: Cashback, folder: Path) -> None:
    (folder / "text.db").write_text("no ledger" * 1000)
    with raw(folder / "foreign.db") as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    shutil.copyfile(folder / "copy.db", folder / "unbalanced.db")
    drop_guards(folder / "unbalanced.db")
    with raw(folder / "unbalanced.db") as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 5")
    shutil.copyfile(folder / "copy.db", folder / "newer.db")
    with raw(folder / "newer.db") as connection:
        connection.execute("UPDATE cashback_alembic_version SET version_num = '9999'")
    before = sorted(path.name for path in folder.iterdir())
    for name, words in (
        ("absent.db", "is not a file"),
        ("text.db", "is not an SQLite database"),
        ("foreign.db", "is not a ledger of this program"),
        ("unbalanced.db", "do not balance"),
        ("newer.db", "newer version"),
        ("cashback.db", "is the ledger itself"),
        (".", "is not a file"),
    ):
        answer = backed_up("restore", name, "--yes")
        assert answer.code == 1, name
        assert words in answer.error, answer.err
    after = [path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm"))]
    assert sorted(after) == [name for name in before if not name.endswith(("-wal", "-shm"))]
    assert wallets(folder / "cashback.db") == 12_750


def test_backup_of_an_older_version_is_upgraded_and_stays_as_it_is(backed_up: Cashback, folder: Path) -> None:
    first_ledger.create(folder / "older.db", FRIDAY)
    before = (folder / "older.db").read_bytes()
    assert backed_up("restore", "older.db", "--yes", "--json").json["schema_before"] == "0001"
    assert (folder / "older.db").read_bytes() == before
    assert backed_up("verify").code == 0


def test_ledger_of_a_running_bot_is_not_replaced(backed_up: Cashback, folder: Path) -> None:
    (folder / "config.json").write_text('{"referral_settings": {"lease_seconds": 1}}')

    async def hold() -> None:
        async with Database(folder / "cashback.db") as database, anyio.create_task_group() as tasks:
            lease = Lease(database, seconds=1, holder="another machine process 7 of elsewhere")
            assert await lease.take()

            async def idle() -> None:
                await anyio.sleep_forever()

            tasks.start_soon(lease.keep, idle)
            answer = await anyio.to_thread.run_sync(backed_up, "restore", "copy.db", "--yes")
            assert answer.code == 1
            assert "A bot is running on cashback.db; stop it" in answer.error
            tasks.cancel_scope.cancel()

    anyio.run(hold)


def test_damaged_ledger_is_replaced_and_kept(backed_up: Cashback, folder: Path) -> None:
    (folder / "cashback.db").write_bytes(b"\\x00broken" * 5000)
    for suffix in ("-wal", "-shm"):
        (folder / f"cashback.db{suffix}").unlink(missing_ok=True)
    assert backed_up("restore", "copy.db", "--yes").code == 0
    assert backed_up("verify").code == 0
    [aside] = folder.glob("cashback.before-restore-*.db")
    assert aside.read_bytes().startswith(b"\\x00broken")
