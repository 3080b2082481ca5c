"""Each transaction meets another one at its commit, so that its function runs twice, as PostgreSQL makes it do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection, exc

from cashback.database.engine import ConnectionOwner
from cashback.database.fenced import FencedDatabase


class SerializationFailureError(Exception):
    """What PostgreSQL's driver raises if a transaction met another one and did nothing."""

    sqlstate = "40001"


class Conflicts:
    """The names of the functions that ran twice, each as "module.function"."""

    def __init__(self) -> None:
        self.functions: set[str] = set()

    def add(self, function: Callable[..., Any]) -> None:
        """Remember a function, also one that another is wrapped around."""
        self.functions.add(f"{function.__module__.rpartition('.')[2]}.{function.__name__}")


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
