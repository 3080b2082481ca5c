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


def test_large_sort_needs_no_folder_for_temporary_files(new_ledger: Path, tmp_path: Path) -> None:
    tried = without_folders("true")
    if tried.returncode != 0 or not tmp_path.is_relative_to("/dev/shm"):  # noqa: S108 -- a folder that stays writable
        pytest.skip(f"folders cannot be made read-only here: {tried.stderr.strip()}")
    ledger = tmp_path / "ledger.db"
    ledger.write_bytes(new_ledger.read_bytes())
    done = without_folders(sys.executable, "-c", SORT, str(ledger))
    assert (done.stdout.strip(), done.returncode) == ("300000", 0), done.stderr


@pytest.mark.parametrize("variable", ["TMPDIR", "SQLITE_TMPDIR"])
def test_folder_that_a_variable_names_counts(tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cashback.database.temporary_files.FOLDERS", (str(tmp_path / "absent"),))
    assert not has_folder({})
    assert not has_folder({variable: str(tmp_path / "absent too")})
    assert has_folder({variable: str(tmp_path)})
