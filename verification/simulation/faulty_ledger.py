"""The real ledger on a real file, with injected faults, and a report of each commit to the ledger model."""

import inspect
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from cashback.database import Database
from cashback.domain.ports import Clock
from verification.simulation.process_faults import ProcessFaults

P = ParamSpec("P")
T = TypeVar("T")

LOCKED: Final = "database is locked"
FULL: Final = "database or disk is full"
BROKEN: Final = "disk I/O error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A committed transaction: its process, the function that wrote it, the arguments, and the result."""

    by: ProcessFaults
    function: str
    arguments: Mapping[str, Any]
    result: Any

    def __str__(self) -> str:
        """Format it as a line of a story."""
        words = [f"{name}={value}" for name, value in self.arguments.items() if name not in {"connection", "now"}]
        return f"  committed {self.function}({', '.join(words)}) -> {self.result}"


class SimulatedLedger(Database):
    """One computer's ledger, for one world after another, so that each statement is compiled once.

    `clock` is the world's, and so is what draws tokens, `faults` that of the process which has the file open, and
    `witness` is called with each commit.
    """

    clock: Clock
    faults: ProcessFaults
    witness: Callable[[Committed], None]

    draw_token: Callable[[], str]

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, clock=self._tell_time, inline=True, failpoint=self._at_commit, new_token=self._draw_token
        )
        self._written: Committed | None = None

    def _tell_time(self) -> datetime:
        """Return the moment by the clock of the present world."""
        return self.clock()

    def _draw_token(self) -> str:
        """Draw a token by the chance of the present world."""
        return self.draw_token()

    async def write(self, function: Callable[Concatenate[Any, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, unless a fault is injected."""
        await self.faults.linger()

        def work(connection: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: ANN401 -- the package's own
            self._fail_perhaps()
            self._written = None
            result = function(connection, *args, **kwargs)
            self._written = _committed(self.faults, function, args, kwargs, result)
            return result

        return await super().write(work, *args, **kwargs)

    async def read(self, function: Callable[Concatenate[Any, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Read, unless a fault is injected."""
        await self.faults.linger()

        def work(connection: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: ANN401 -- the package's own
            self._fail_perhaps()
            return function(connection, *args, **kwargs)

        return await super().read(work, *args, **kwargs)

    def _fail_perhaps(self) -> None:
        """Raise a driver's error now and then, so that it is translated as in production."""
        self.faults.go_on()
        if self.faults.strikes("locked"):
            raise sqlite3.OperationalError(LOCKED)

    def _at_commit(self, moment: str) -> None:
        self.faults.go_on()
        if moment == "before commit":
            self.faults.die_perhaps("before a commit")
            if self.faults.strikes("disk_full"):
                raise sqlite3.OperationalError(FULL)
            if self.faults.strikes("broken_at_commit"):
                raise sqlite3.OperationalError(BROKEN)
            return
        if self._written is not None:
            self.witness(self._written)
        self.faults.die_perhaps("after a commit")
        if self.faults.strikes("answer_of_commit_lost"):
            raise sqlite3.OperationalError(BROKEN)


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _committed(by: ProcessFaults, function: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> Committed:  # noqa: ANN401 -- any
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    arguments = _signature(function).bind(None, *args, **kwargs)
    arguments.apply_defaults()
    return Committed(by=by, function=name, arguments=arguments.arguments, result=result)
