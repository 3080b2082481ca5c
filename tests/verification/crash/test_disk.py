"""A disk that is full, and a file that is gone, replaced or damaged: one clear line, and no cent moves wrongly."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import copyfile, move, rmtree

import pytest

from cashback.database import Database
from cashback.database.integrity import backup
from cashback.database.queries import exporting
from cashback.database.queries.exporting import Period
from cashback.domain.errors import CashbackError, DatabaseUnavailableError
from cashback.domain.model import BatchStatus
from tests.conftest import Clock, LedgerFixture, OpenDatabase, names_in, run_batches

pytestmark = [pytest.mark.anyio, pytest.mark.about_a_file("what a disk says")]

PAYEES = 300
CHUNK_SIZE = 10
"""Small compared with the payees: discovery waits at a full channel when crediting fails, and its error must not win.
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of sixteen megabytes: the write-ahead log alone grows to four."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Fill the disk; removing the returned file frees the space."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            return ballast
    raise AssertionError


async def _approved(ledger: LedgerFixture) -> int:
    await ledger.earn_all((referrer, 100) for referrer in range(1, PAYEES + 1))
    return await ledger.approved()


async def test_full_disk_stops_batch_clearly_and_it_resumes_with_space(
    small_disk: Path, new_ledger: Path, clock: Clock
) -> None:
    copyfile(new_ledger, small_disk / "cashback.db")
    async with Database(small_disk / "cashback.db", clock=clock) as database:
        ledger = LedgerFixture(database, clock)
        number = await _approved(ledger)
        ballast = _fill(small_disk)
        interrupted = await ledger.run(number, chunk_size=CHUNK_SIZE)
        [(_, reason)] = interrupted.interruptions
        assert reason.endswith("cannot grow, the disk is full; free some space, then resume.")
        paid = (await ledger.report(number)).users_paid
        assert paid < PAYEES
        assert (await ledger.verify()).breaches == ()

        ballast.unlink()
        recorder = await ledger.run(number, chunk_size=CHUNK_SIZE)
        assert recorder.interruptions == []
        assert (recorder.reports[0].status, recorder.reports[0].users_paid) == (BatchStatus.COMPLETED, PAYEES)
        assert ledger.rows("SELECT DISTINCT wallet_balance_cents FROM users WHERE discord_id <= 300") == [(100,)]
        assert (await ledger.verify()).breaches == ()


async def test_disk_filling_during_a_batch_loses_nothing(small_disk: Path, new_ledger: Path, clock: Clock) -> None:
    path = small_disk / "cashback.db"
    copyfile(new_ledger, path)
    commits: list[str] = []

    def failpoint(moment: str) -> None:
        commits.append(moment)
        if len(commits) == 10:
            _fill(small_disk)

    async with Database(path, clock=clock) as database:
        ledger = LedgerFixture(database, clock)
        number = await _approved(ledger)
        async with Database(path, clock=clock, failpoint=failpoint) as filling:
            interrupted = await run_batches(filling, number, chunk_size=CHUNK_SIZE)
        assert "the disk is full" in interrupted.interruptions[0][1]
        assert 0 < (await ledger.report(number)).users_paid < PAYEES
        assert (await ledger.verify()).breaches == ()
        (small_disk / "ballast").unlink()
        assert (await ledger.run(number, chunk_size=CHUNK_SIZE)).reports[0].total_cents == 100 * PAYEES
        assert (await ledger.verify()).breaches == ()


async def test_backup_without_space_is_refused_and_leaves_nothing(ledger: LedgerFixture, small_disk: Path) -> None:
    _fill(small_disk)
    with pytest.raises(backup.BackupRefusedError, match="not enough space for a backup"):
        backup.make(ledger.path, small_disk / "copy.db")
    assert names_in(small_disk) == ["ballast"]


async def test_read_only_disk_ends_the_run_with_its_error(ledger: LedgerFixture) -> None:
    """Needs no mount: a limit on the size of files makes every further write fail."""
    number = await _approved(ledger)
    with small_files():
        interrupted = await ledger.run(number, chunk_size=CHUNK_SIZE)
    [(_, reason)] = interrupted.interruptions
    assert reason.endswith("(disk I/O error); check the disk, then resume.")
    assert (await ledger.run(number, chunk_size=CHUNK_SIZE)).reports[0].total_cents == 100 * PAYEES


@contextmanager
def small_files() -> Iterator[None]:
    """Limit what may be written into one file, which needs no mount."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
@pytest.mark.parametrize("before", [None, "an earlier export"])
async def test_export_that_does_not_fit_names_its_file_and_leaves_what_was_there(
    ledger: LedgerFixture, tmp_path: Path, suffix: str, before: str | None
) -> None:
    number = await _approved(ledger)
    folder = tmp_path / "exports"
    folder.mkdir()
    path = folder / f"payouts.{suffix}"
    if before is not None:
        path.write_text(before)
    export = partial(exporting.write_file, path=path, with_totals=False)
    with small_files(), pytest.raises(CashbackError, match=f"payouts.{suffix} cannot be written: File too large"):
        await ledger.database.read(export, Period(number=number))
    assert names_in(folder) == ([] if before is None else [path.name])
    assert before is None or path.read_text() == before
    await ledger.database.read(export, Period(number=number))
    assert names_in(folder) == ["payouts-totals.csv", path.name]


async def test_backup_that_cannot_be_written_names_its_folder_and_not_the_ledger(
    ledger: LedgerFixture, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    with small_files(), pytest.raises(backup.BackupRefusedError, match=f"cannot be written in {folder} "):
        backup.make(ledger.path, folder / "copy.db")
    assert names_in(folder) == []


def _replace(path: Path) -> None:
    copyfile(path, path.with_name("backup.db"))
    path.with_name("backup.db").replace(path)


@pytest.mark.parametrize("harm", [Path.unlink, _replace, lambda path: move(path, path.with_name("moved.db"))])
async def test_removed_file_is_not_paid_into(ledger: LedgerFixture, harm: Callable[[Path], object]) -> None:
    """An open file that is unlinked can still be written: the money would be in a file without a name."""
    number = await _approved(ledger)
    harm(ledger.path)
    interrupted = await ledger.run(number, chunk_size=CHUNK_SIZE)
    assert interrupted.reports == []
    assert "is no longer the file that was opened" in interrupted.interruptions[0][1]
    ledger.honest = False


async def test_file_removed_within_transaction_is_not_committed(
    ledger: LedgerFixture, open_database: OpenDatabase
) -> None:
    number = await _approved(ledger)
    moved = ledger.path.with_name("moved.db")

    moments: list[str] = []

    def failpoint(moment: str) -> None:
        moments.append(moment)
        if moments.count("before commit") == 2 and moment == "before commit":
            ledger.path.rename(moved)

    async with open_database(failpoint=failpoint) as database:
        interrupted = await run_batches(database, number, chunk_size=CHUNK_SIZE)
    assert "is no longer the file that was opened" in interrupted.interruptions[0][1]
    moved.rename(ledger.path)
    assert (await ledger.report(number)).users_paid == 0
    assert (await ledger.run(number, chunk_size=CHUNK_SIZE)).reports[0].users_paid == PAYEES


def _write_over(path: Path, content: bytes, *, at: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.write_bytes(b"no database " * 500), "is not an SQLite database; name another file"),
        (lambda path: _write_over(path, b"\xff" * 90_000, at=100), "is damaged; restore the last backup"),
        (lambda path: os.truncate(path, 5_000), "is damaged; restore the last backup"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be opened; check that its folder exists"),
        (lambda path: rmtree(path.parent), "does not exist; create it first"),
    ],
    ids=["another kind of file", "damaged", "cut off", "a folder", "folder gone"],
)
async def test_unusable_file_is_one_error_line(
    tmp_path: Path, new_ledger: Path, clock: Clock, harm: Callable[[Path], object], told: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "cashback.db"
    copyfile(new_ledger, path)
    harm(path)
    opening = Database(path, clock=clock)
    with pytest.raises(DatabaseUnavailableError) as refused:
        await opening.connect()
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert isinstance(refused.value, CashbackError)
