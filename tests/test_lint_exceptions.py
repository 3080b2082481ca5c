"""Every exception to a lint has its reason next to it, and values get into SQL as bound parameters alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
REASONED = re.compile(r"# noqa: [A-Z0-9, ]+ (--|—) \S")
"""The rule, then why."""

SQL_CALLS = {"exec_driver_sql", "text", "literal_column"}
"""What takes SQL as a text."""


def _sources() -> Iterator[Path]:
    for path in sorted(PROJECT.rglob("*.py")):
        if not path.relative_to(PROJECT).parts[0].startswith((".", "build", "mutants")):
            yield path


def test_every_exception_to_a_lint_has_its_reason() -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{number}"
        for path in _sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"# noqa\b", line) and not REASONED.search(line) and path != Path(__file__)
    ]
    assert found == []


def _built_at_run_time(node: ast.expr) -> bool:
    """Return whether a text is put together from something other than the program's constants."""
    if isinstance(node, ast.JoinedStr):
        return not all(
            isinstance(part, ast.Constant)
            or (isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name) and part.value.id.isupper())
            for part in node.values
        )
    return isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mult)


MAY_BUILD = {"cashback/database/dialect.py", "cashback/database/tables.py"}
"""Where SQL is put together from this program's own names: of triggers and pragmas, and of states.

So do the migrations, which take no value from anybody.
"""


def test_no_value_gets_into_sql_but_as_a_bound_parameter() -> None:
    found = []
    for path in sorted((PROJECT / "database").rglob("*.py")):
        place = path.relative_to(PROJECT).as_posix()
        if place in MAY_BUILD or place.startswith("database/migrations/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            name = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            if isinstance(node, ast.Call) and name in SQL_CALLS and node.args and _built_at_run_time(node.args[0]):
                found.append(f"{path.name}:{node.lineno}")
    assert found == []


def test_what_looks_for_built_sql_would_see_it() -> None:
    bad = ast.parse('f"SELECT {name}"', mode="eval").body
    good = ast.parse('f"PRAGMA integrity_check({SHOWN})"', mode="eval").body
    assert _built_at_run_time(bad)
    assert not _built_at_run_time(good)
