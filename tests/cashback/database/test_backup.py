"""Backups: taken in the middle of a batch they are whole, and a restored one is paid on from."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import pytest

from cashback.database import Database
from cashback.database.integrity import backup, reconciliation
from cashback.domain.errors import DatabaseUnavailableError
from tests.cashback.database import apex_core
from tests.conftest import (
    Clock,
    LedgerFixture,
    OpenDatabase,
    drop_guards,
    lose_index_rows,
    names_in,
    raw,
    rows,
    run_batches,
)

pytestmark = [pytest.mark.anyio, pytest.mark.about_a_file("a server's backups are its own")]

PAYEES = 60


async def test_backup_of_running_batch_is_consistent_and_resumable(
    ledger: LedgerFixture, open_database: OpenDatabase, tmp_path: Path, clock: Clock
) -> None:
    """The copy is taken after the third chunk, before the fourth commits: the writer holds its lock all the while."""
    await ledger.earn_all((referrer, 100 + referrer) for referrer in range(1, PAYEES + 1))
    number = await ledger.approved()
    commits: list[backup.Backup | None] = []

    def failpoint(moment: str) -> None:
        if moment == "before commit":
            commits.append(backup.make(ledger.path, tmp_path / "copy.db") if len(commits) == 4 else None)

    async with open_database(failpoint=failpoint) as running:
        recorder = await run_batches(running, number, chunk_size=10)
    assert recorder.reports[0].users_paid == PAYEES
    [made] = [commit for commit in commits if commit]
    assert made.verdict is not None
    assert made.verdict.breaches == ()
    assert made.size_bytes == (tmp_path / "copy.db").stat().st_size
    assert rows(made.path, "SELECT count(*) FROM cashback_payouts WHERE status = 'credited'") == [(30,)]

    restored = tmp_path / "restored.db"
    copyfile(made.path, restored)
    async with Database(restored, clock=clock) as database:
        again = await run_batches(database, number, chunk_size=10)
        assert (again.reports[0].users_paid, again.reports[0].total_cents) == (PAYEES, sum(range(101, 101 + PAYEES)))
        assert (await database.read(reconciliation.verify)).breaches == ()
    assert rows(restored, "SELECT discord_id, wallet_balance_cents FROM users WHERE discord_id <= 60 ORDER BY 1") == [
        (referrer, 100 + referrer) for referrer in range(1, PAYEES + 1)
    ]


async def test_backup_is_one_file_readable_by_owner_only(ledger: LedgerFixture, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    backup.make(ledger.path, folder / "copy.db")
    assert names_in(folder) == ["copy.db"]
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600


async def test_last_backup_is_in_the_audit_log(ledger: LedgerFixture, tmp_path: Path, clock: Clock) -> None:
    assert await ledger.database.read(backup.last_made) is None
    for name in ("one.db", "two.db"):
        made = backup.make(ledger.path, tmp_path / name)
        await ledger.database.write(backup.note, made, actor="cli", now=clock.advance(60))
    last = await ledger.database.read(backup.last_made)
    assert last is not None
    assert last["at"] == clock()
    assert str(tmp_path / "two.db") in last["details"]


async def test_existing_target_is_kept_unless_overwrite(ledger: LedgerFixture, tmp_path: Path) -> None:
    target = tmp_path / "precious.db"
    target.write_text("precious")
    with pytest.raises(backup.BackupRefusedError, match="already exists"):
        backup.make(ledger.path, target)
    assert target.read_text() == "precious"
    backup.make(ledger.path, target, overwrite=True)
    assert rows(target, "SELECT count(*) FROM users") == [(0,)]


@pytest.mark.parametrize("what", ["device", "link to a device", "pipe", "folder", "link to a folder", "dead link"])
async def test_backup_replaces_regular_files_only(ledger: LedgerFixture, tmp_path: Path, what: str) -> None:
    """Run as root, a backup replaced /dev/null."""
    target = tmp_path / "target"
    if what == "pipe":
        os.mkfifo(target)
    elif what == "folder":
        target.mkdir()
    elif what == "device":
        if os.geteuid() != 0:
            pytest.skip("only root makes a device, and no real one is put at risk")
        os.mknod(target, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    else:
        named = {"link to a device": Path("/dev/null"), "link to a folder": tmp_path, "dead link": tmp_path / "gone"}
        target.symlink_to(named[what])
    before = target.lstat()
    with pytest.raises(backup.BackupRefusedError, match="is not a regular file and was not changed"):
        backup.make(ledger.path, target, overwrite=True)
    assert (target.lstat().st_mode, target.lstat().st_ino) == (before.st_mode, before.st_ino)


async def test_concurrent_backup_does_not_replace_the_first(
    ledger: LedgerFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program writes a file of that name while the copy is being made."""
    target = tmp_path / "copy.db"
    reserve = backup._reserve

    def late(path: Path) -> None:
        path.write_text("faster")
        reserve(path)

    monkeypatch.setattr(backup, "_reserve", late)
    with pytest.raises(backup.BackupRefusedError, match="already exists"):
        backup.make(ledger.path, target)
    assert target.read_text() == "faster"
    assert [name for name in names_in(tmp_path) if "copy" in name] == ["copy.db"]


def _name_the_ledger(path: Path) -> Path:
    return path


def _leave_a_log(path: Path) -> Path:
    path.with_name("open.db-wal").write_text("")
    return path.with_name("open.db")


def _name_no_folder(path: Path) -> Path:
    return path.parent / "nowhere" / "copy.db"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (_name_the_ledger, "is the ledger itself"),
        (_leave_a_log, "exists: a program has"),
        (_name_no_folder, "does not exist; create it first"),
    ],
)
async def test_invalid_target_is_refused(
    ledger: LedgerFixture, tmp_path: Path, target: Callable[[Path], Path], told: str
) -> None:
    name = target(ledger.path)
    before = names_in(tmp_path)
    with pytest.raises(backup.BackupRefusedError, match=told):
        backup.make(ledger.path, name, overwrite=True)
    assert names_in(tmp_path) == before


async def test_missing_ledger_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="there is nothing to back up"):
        backup.make(tmp_path / "gone.db", tmp_path / "copy.db")
    assert names_in(tmp_path) == []


async def test_damaged_ledger_is_not_backed_up(ledger: LedgerFixture, tmp_path: Path) -> None:
    """An index that has lost a row reads like a sound file, until a constraint is needed."""
    await ledger.earn(1, 5)
    await ledger.pay()
    lose_index_rows(ledger.path)
    ledger.honest = False
    with pytest.raises(DatabaseUnavailableError, match="is damaged"):
        backup.make(ledger.path, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_unbalanced_ledger_is_copied_and_reported(ledger: LedgerFixture, tmp_path: Path) -> None:
    await ledger.earn(1, 5)
    await ledger.pay()
    drop_guards(ledger.location)
    with raw(ledger.location) as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 6 WHERE discord_id = 1")
    ledger.honest = False
    made = backup.make(ledger.path, tmp_path / "copy.db")
    assert made.verdict is not None
    assert [breach for breach in made.verdict.breaches if "wallet of 1 holds 6 cents" in breach]


async def test_file_of_other_bot_is_copied_unchanged(tmp_path: Path) -> None:
    """Before it is adopted: nothing is added to it, and its books are not ours to read."""
    apex_core.create(tmp_path / "apex.db")
    before = (tmp_path / "apex.db").read_bytes()
    assert backup.make(tmp_path / "apex.db", tmp_path / "copy.db").verdict is None
    assert (tmp_path / "apex.db").read_bytes() == before
