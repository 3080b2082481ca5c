"""Each transaction meets another one at its commit, so that its function runs twice, as PostgreSQL makes it do."""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, exc

from cashback.database.engine import ConnectionOwner
from cashback.database.fenced import FencedDatabase

ROOT: Final = Path(__file__).parents[1]
WRITES: Final = ("write", "_change")


class SerializationFailureError(Exception):
    """What PostgreSQL's driver raises if a transaction met another one and did nothing."""

    sqlstate = "40001"


class Conflicts:
    """The names of the functions that ran twice, each as "module.function"."""

    def __init__(self) -> None:
        self.functions: set[str] = set()

    def add(self, function: Callable[..., Any]) -> None:
        """Remember a function, also one that another is wrapped around."""
        self.functions |= {f"{function.__module__.rpartition('.')[2]}.{function.__name__}", f"*.{function.__name__}"}


def run_all_twice(monkeypatch: pytest.MonkeyPatch) -> Conflicts:
    """Let the first run of each transaction end in a conflict; the program's own retry runs it again."""
    conflicts = Conflicts()
    write, write_fenced = ConnectionOwner.write, FencedDatabase.write

    async def write_twice(self: ConnectionOwner, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- any function's
        runs = 0

        def conflict_once(connection: Connection, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as above
            nonlocal runs
            runs += 1
            if runs > 1:
                conflicts.add(function)
                return function(connection, *args, **kwargs)
            # The last statement before a refusal may be the one that meets another transaction.
            with suppress(Exception):
                function(connection, *args, **kwargs)
            raise exc.OperationalError("COMMIT", {}, SerializationFailureError())

        return await write(self, conflict_once, *args, **kwargs)

    async def note_fenced(self: FencedDatabase, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as above
        conflicts.add(function)
        return await write_fenced(self, function, *args, **kwargs)

    monkeypatch.setattr(ConnectionOwner, "write", write_twice)
    monkeypatch.setattr(FencedDatabase, "write", note_fenced)
    return conflicts


PARAMETERS: Final = frozenset({"change", "fixing", "function", "guarded", "piece", "text"})
"""What is written there comes from elsewhere."""


def written_by(*folders: str) -> set[str]:
    """List what the program's files give to `write`: functions as "module.function", methods as "*.function"."""
    found = set[str]()
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        imported = {
            alias.asname or alias.name: (node.module or "").rpartition(".")[2]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
                found |= _named(node.args[0], imported, path.stem) if node.args else set()
    return found


def _named(argument: ast.expr, imported: dict[str, str], module: str) -> set[str]:
    if isinstance(argument, ast.Attribute) and isinstance(argument.value, ast.Name):
        # A method may be of any module's class; a function is its module's, which is imported.
        of = argument.value.id
        return {f"{of if of in imported else '*'}.{argument.attr}"}
    if isinstance(argument, ast.Name) and argument.id not in PARAMETERS:
        return {f"{imported.get(argument.id, module)}.{argument.id}"}
    return set()
