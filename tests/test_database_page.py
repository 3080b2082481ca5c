"""docs/reference/database.md names each coroutine of `Database` with its parameters, and its example runs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cashback import Database

PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "docs" / "reference" / "database.md").read_text(encoding="utf-8")
OF_THE_PROGRAM = {"read", "write"}
COROUTINES = sorted(
    name
    for name, method in inspect.getmembers(Database, inspect.iscoroutinefunction)
    if not name.startswith("_") and name not in OF_THE_PROGRAM
)


@pytest.mark.parametrize("name", COROUTINES)
def test_coroutine_is_documented_with_its_parameters(name: str) -> None:
    [documented] = re.findall(rf"^\| `{name}\((.*?)\)` \|", PAGE, re.MULTILINE)
    parameters = [each for each in inspect.signature(getattr(Database, name)).parameters if each != "self"]
    described = [each.split("=")[0] for each in documented.split(", ") if each not in {"", "*"}]
    assert described == (["purchases"] if name == "record_purchases" else parameters)


def test_example_of_the_page_runs(tmp_path: Path) -> None:
    first, second = re.findall(r"```python\n([\s\S]*?)```", PAGE)
    program = (
        f"import asyncio\n{first}\nasync def main():\n{textwrap.indent(second, '    ')}"
        "    print(earned_cents, stats['pending_cents'])\nasyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stdout) == (0, "9 9\n"), done.stderr
