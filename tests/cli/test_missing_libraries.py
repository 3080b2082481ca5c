"""Without the optional libraries everything else works, and each is asked for in one line."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cashback
from tests.missing_libraries import without

OPTIONAL = {"cryptography", "matplotlib", "numpy", "openpyxl", "psycopg", "trio"}


@pytest.fixture
def smallest() -> Iterator[None]:
    """Hide the optional libraries."""
    with without(*OPTIONAL):
        yield


pytestmark = pytest.mark.usefixtures("smallest")


def install(library: str) -> str:
    return f"install it with: python3 -m pip --python {sys.executable} install '{library}'"


def test_chart_asks_for_its_library_and_the_statistics_need_none(seeded: Cashback, folder: Path) -> None:
    assert seeded("stats", "--chart", "chart.png").error == (
        f"Charts need the library matplotlib, which is not installed; {install('matplotlib')}"
    )
    assert not (folder / "chart.png").exists()
    assert seeded("stats").code == 0


def test_workbooks_ask_for_their_library_and_leave_no_file(seeded: Cashback, folder: Path) -> None:
    assert seeded("pay", "--yes").code == 0
    asked = f"XLSX files need the library openpyxl, which is not installed; {install('openpyxl')}"
    assert seeded("export", 1, "--format", "xlsx", "--output", "one.xlsx").error == asked
    assert seeded("withdrawals", "export", "queue.xlsx").error == asked
    assert not list(folder.glob("*.xlsx"))
    assert seeded("export", 1).code == 0


def test_importing_a_workbook_asks_for_its_library(cashback: Cashback, folder: Path) -> None:
    with zipfile.ZipFile(folder / "orders.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    assert cashback("import", "orders.xlsx").error.endswith(install("openpyxl"))


def test_postgresql_asks_for_its_driver(cashback: Cashback) -> None:
    assert cashback("--database", "postgresql://me@127.0.0.1:1/ledger", "pending").error == (
        f"Databases on PostgreSQL need the library psycopg, which is not installed; {install('psycopg[binary]')}"
    )


def test_bot_and_dashboard_and_demo_start_without_them() -> None:
    here = Path(__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(here)!r}); sys.modules.update(dict.fromkeys({sorted(OPTIONAL)}))"
    imports = "import bot, scheduler, cli.demo, cli.dashboard, cli.import_, cli.worker, sandbox"
    subprocess.run([sys.executable, "-c", f"{code}; {imports}"], check=True, timeout=100)
