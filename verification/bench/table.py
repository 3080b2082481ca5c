"""The one table that the benchmarks print."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from verification.bench.measuring import Result

WIDTH = 120


def show(results: Sequence[Result], *, title: str) -> None:
    """Print a line for each measurement: program, baseline, ratio, its limit, and memory."""
    table = Table(title=title)
    for column in ("what", "rows", "program", "baseline", "ratio", "at most", "reached", "MB", "baseline's MB"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for result in results:
        for line in _lines(result):
            table.add_row(*line)
    Console(width=WIDTH).print(table)


def _lines(result: Result) -> Iterator[tuple[str, ...]]:
    case = result.case
    for name, program in result.program.seconds.items():
        baseline = result.baseline.seconds[name]
        ratio = program / baseline
        times, seconds = case.times.get(name), case.seconds.get(name)
        limit = _time(seconds) if seconds else f"{times:.2f} ×" if times else ""
        reached = program <= seconds if seconds else ratio <= times if times else None
        yield (
            f"{case.name}: {name}" if name else case.name,
            f"{case.rows:,}",
            _time(program),
            _time(baseline),
            f"{ratio:.2f} ×",
            limit,
            "" if reached is None else "yes" if reached else "NO",
            f"{result.program.peak_mb:.0f}",
            f"{result.baseline.peak_mb:.0f}",
        )


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
