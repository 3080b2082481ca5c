"""The ledger that the state machine works on: a real file, refilled for each example."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from shutil import copyfile
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from cashback.database import Database, events
from cashback.domain.events import Event
from tests.conftest import Clock

P = ParamSpec("P")
T = TypeVar("T")


class ModelService:
    """One ledger for all examples, refilled for each: its statements are compiled once."""

    def __init__(self, folder: Path, loop: asyncio.Runner) -> None:
        self.path = folder / "ledger.db"
        self._loop = loop
        self._template = folder / "template.db"
        self.clock = Clock()
        self._database = Database(self.path, clock=self._now, inline=True)
        loop.run(self._make_template())

    def _now(self) -> datetime:
        return self.clock()

    async def _make_template(self) -> None:
        async with Database(self._template, clock=self.clock) as database:
            await database.write(events.put_in_force, {"shop": tuple(Event)}, now=self.clock())

    def open(self) -> None:
        """Begin with an empty ledger."""
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        copyfile(self._template, self.path)
        self.clock = Clock()
        self._loop.run(self._database.connect())
        self._raw = sqlite3.connect(self.path)

    def close(self) -> None:
        """Close the ledger."""
        self._raw.close()
        self._loop.run(self._database.close())

    def write(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction."""
        return self._loop.run(self._database.write(function, *args, **kwargs))

    def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read one snapshot."""
        return self._loop.run(self._database.read(function, *args, **kwargs))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read rows past the program."""
        return self._raw.execute(query).fetchall()
