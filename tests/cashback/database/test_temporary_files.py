"""A read-only root without a folder for temporary files: what SQLite sorts, it sorts in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cashback.database.temporary_files import FOLDERS, has_folder

AS_ROOT = () if os.geteuid() == 0 else ("--user", "--map-root-user")
WITHOUT_FOLDERS = " && ".join(
    [f"(! [ -d {each} ] || (mount --bind {each} {each} && mount -o remount,bind,ro {each}))" for each in FOLDERS[:-1]]
)
SORT = """
import sys
from pathlib import Path
from cashback.database.dialect import make_engine
numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
with make_engine(Path(sys.argv[1]), writes=False).connect() as connection:
    rows = connection.exec_driver_sql(f"{numbers} SELECT i, hex(randomblob(50)) AS t FROM n ORDER BY t").fetchall()
print(len(rows))
"""


def without_folders(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where no folder for temporary files may be written."""
    environment = {key: value for key, value in os.environ.items() if key not in {"TMPDIR", "SQLITE_TMPDIR"}}
    return subprocess.run(
        ["unshare", *AS_ROOT, "--mount", "sh", "-c", f'{WITHOUT_FOLDERS} && cd /var/tmp && exec "$@"', "sh", *command],
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def writable(tmp_path: Path) -> Path:
    """Return a folder that stays writable."""
    tried = without_folders("true")
    if tried.returncode != 0 or not tmp_path.is_relative_to("/dev/shm"):  # noqa: S108 -- see above
        pytest.skip(f"folders cannot be made read-only here: {tried.stderr.strip()}")
    return tmp_path


def command(ledger: Path, *words: str) -> list[str]:
    """Return a command of the command line on a ledger."""
    return [sys.executable, "-m", "cli", "--database", str(ledger), *words]


def test_large_sort_needs_no_folder_for_temporary_files(new_ledger: Path, writable: Path) -> None:
    ledger = writable / "ledger.db"
    ledger.write_bytes(new_ledger.read_bytes())
    done = without_folders(sys.executable, "-c", SORT, str(ledger))
    assert (done.stdout.strip(), done.returncode) == ("300000", 0), done.stderr


@pytest.mark.proof
def test_sixty_thousand_payouts_are_verified_and_backed_up_without_a_folder_for_temporary_files(writable: Path) -> None:
    """With a temporary file on the read-only root instead, both end with an I/O error."""
    ledger, copy = writable / "ledger.db", writable / "copy.db"
    for words in (("seed", "--referrers", "60000", "--referrals", "60000"), ("pay", "--yes")):
        subprocess.run(command(ledger, *words), cwd=Path(__file__).parents[3], check=True, capture_output=True)
    verified = without_folders(*command(ledger, "verify"))
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "60,000 payouts" in verified.stdout
    backed_up = without_folders(*command(ledger, "backup", str(copy)))
    assert (backed_up.returncode, backed_up.stderr) == (0, "")
    assert "read back and sound" in backed_up.stdout


@pytest.mark.parametrize("variable", ["TMPDIR", "SQLITE_TMPDIR"])
def test_folder_that_a_variable_names_counts(tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cashback.database.temporary_files.FOLDERS", (str(tmp_path / "absent"),))
    assert not has_folder({})
    assert not has_folder({variable: str(tmp_path / "absent too")})
    assert has_folder({variable: str(tmp_path)})
