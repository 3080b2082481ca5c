"""Benchmark cases and their measurement: program and baseline alternate, each time in a process of its own.

A process of its own gives each its own peak memory; they alternate so that a slow moment of the machine hits both. The
best round counts: other programs on the machine only ever add to the time. Where the CPU time is measured too, it is
what is compared: other programs change it least.
"""

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from verification.bench.stopwatch import Spent

PROGRAM: Final = "program"
BASELINE: Final = "baseline"
PREPARE: Final = "prepare"
KIB_PER_MB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the table.

    `prepare` writes the ledger that both start from. Program and baseline take its path and return what they spent, or
    only the seconds, by name if they measure several things at once. `times` is how many times the baseline's seconds
    the program may take, `cpu_times` how many times its CPU time; `seconds` and `written_mb` are what it may take and
    write whatever the baseline does.
    """

    name: str
    rows: int
    prepare: Callable[[Path, int], None]
    program: Callable[[Path], Mapping[str, Spent | float]]
    baseline: Callable[[Path], Mapping[str, Spent | float]]
    times: Mapping[str, float] = field(default_factory=dict)
    cpu_times: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    written_mb: Mapping[str, float] = field(default_factory=dict)
    reads_only: bool = False
    rounds: int = 5

    @property
    def key(self) -> str:
        """The case's name for the process that measures it."""
        return f"{self.name}@{self.rows}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The least that one side spent, by name, and its peak memory in any round, in MB."""

    spent: dict[str, Spent]
    peak_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a case."""

    case: Case
    program: Figures
    baseline: Figures


def run_once(case: Case, who: str, path: Path) -> None:
    """Measure one side in this process and print its figures for the parent process."""
    if who == PREPARE:
        case.prepare(path, case.rows)
        return
    measured = case.program(path) if who == PROGRAM else case.baseline(path)
    spent = {name: each if isinstance(each, Spent) else Spent(seconds=each) for name, each in measured.items()}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB
    print(json.dumps({"spent": {name: asdict(each) for name, each in spent.items()}, "peak_mb": peak_mb}))


def measure(case: Case, folder: Path) -> Result:
    """Measure both sides of a case; ledgers that several cases start from are prepared once in the folder."""
    prepared = folder / f"{case.prepare.__module__}.{case.prepare.__name__}-{case.rows}.db"
    if not prepared.exists():
        _start(case, PREPARE, prepared)
    rounds: dict[str, list[Figures]] = {BASELINE: [], PROGRAM: []}
    for _ in range(case.rounds):
        for who, figures in rounds.items():
            figures.append(_measure_once(case, who, prepared))
    return Result(case=case, program=_best(rounds[PROGRAM]), baseline=_best(rounds[BASELINE]))


def _measure_once(case: Case, who: str, prepared: Path) -> Figures:
    path = prepared if case.reads_only else prepared.with_name("measured.db")
    if not case.reads_only:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        shutil.copy(prepared, path)
    found = json.loads(_start(case, who, path))
    spent = {name: Spent(**each) for name, each in found["spent"].items()}
    return Figures(spent=spent, peak_mb=found["peak_mb"])


def _start(case: Case, who: str, path: Path) -> str:
    command = [sys.executable, "-m", "verification.bench", "--once", case.key, who, str(path)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 -- ourselves


def _best(rounds: list[Figures]) -> Figures:
    return Figures(
        spent={name: _least([figures.spent[name] for figures in rounds]) for name in rounds[0].spent},
        peak_mb=max(figures.peak_mb for figures in rounds),
    )


def _least(rounds: list[Spent]) -> Spent:
    """Take the best of each figure; one that is not measured is None in every round."""
    return Spent(
        seconds=min(spent.seconds for spent in rounds),
        cpu_seconds=min((spent.cpu_seconds for spent in rounds if spent.cpu_seconds is not None), default=None),
        written_mb=min((spent.written_mb for spent in rounds if spent.written_mb is not None), default=None),
    )
