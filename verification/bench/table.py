"""The one table that the benchmarks print."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from verification.bench.measuring import Case, Figures, Result
from verification.bench.stopwatch import Spent

WIDTH = 170
COLUMNS = ("what", "rows", "program: s", "CPU s", "MB written", "MB", "baseline: s", "CPU s", "MB written", "MB")


def show(results: Sequence[Result], *, title: str) -> None:
    """Print a line for each measurement: what either side spent, the ratios, the limit, and whether it is kept."""
    table = Table(title=title)
    for column in (*COLUMNS, "ratio", "of CPU", "at most", "reached"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for result in results:
        for line in _lines(result):
            table.add_row(*line)
    Console(width=WIDTH).print(table)


def _lines(result: Result) -> Iterator[tuple[str, ...]]:
    case = result.case
    for name, program in result.program.spent.items():
        baseline = result.baseline.spent[name]
        reached = list(_judged(case, name, program, baseline))
        yield (
            f"{case.name}: {name}" if name else case.name,
            f"{case.rows:,}",
            *_side(result.program, program),
            *_side(result.baseline, baseline),
            f"{program.seconds / baseline.seconds:.2f} ×",
            _times(_cpu_ratio(program, baseline)),
            ", ".join(limit for limit, _ in reached),
            "" if not reached else "yes" if all(kept for _, kept in reached) else "NO",
        )


def _judged(case: Case, name: str, program: Spent, baseline: Spent) -> Iterator[tuple[str, bool]]:
    """List the limits that a line has, and whether each is kept."""
    if name in case.seconds:
        yield _time(case.seconds[name]), program.seconds <= case.seconds[name]
    if name in case.times:
        yield f"{case.times[name]:.2f} ×", program.seconds / baseline.seconds <= case.times[name]
    if name in case.cpu_times:
        yield f"{case.cpu_times[name]:.2f} × CPU", (_cpu_ratio(program, baseline) or 0) <= case.cpu_times[name]
    if name in case.written_mb:
        yield f"{case.written_mb[name]:,.0f} MB", (program.written_mb or 0) <= case.written_mb[name]


def _side(figures: Figures, spent: Spent) -> tuple[str, ...]:
    return (
        _time(spent.seconds),
        "" if spent.cpu_seconds is None else _time(spent.cpu_seconds),
        "" if spent.written_mb is None else f"{spent.written_mb:,.0f}",
        f"{figures.peak_mb:.0f}",
    )


def _cpu_ratio(program: Spent, baseline: Spent) -> float | None:
    if program.cpu_seconds is None or not baseline.cpu_seconds:
        return None
    return program.cpu_seconds / baseline.cpu_seconds


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} ×"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
