"""What a piece of work took: wall time, CPU time of the whole process, and the bytes that the process wrote.

On a machine with other work only the last two can be compared between runs. `wchar` of /proc/self/io counts what was
handed to the kernel, so the file system under the ledger does not matter; where there is no /proc, it stays 0.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IO: Final = Path("/proc/self/io")
BYTES_PER_MB: Final = 1_000_000


@dataclass(slots=True, kw_only=True)
class Spent:
    """Seconds by the clock, seconds of CPU and megabytes written; None if that was not measured."""

    seconds: float = 0.0
    cpu_seconds: float | None = None
    written_mb: float | None = None


@contextmanager
def stopwatch() -> Iterator[Spent]:
    """Measure a block; what it took is known at its end."""
    spent = Spent()
    written, cpu, start = _written_mb(), time.process_time(), time.perf_counter()
    yield spent
    spent.seconds = time.perf_counter() - start
    spent.cpu_seconds = time.process_time() - cpu
    spent.written_mb = _written_mb() - written


def _written_mb() -> float:
    if not IO.exists():
        return 0.0
    [line] = [line for line in IO.read_text(encoding="ascii").splitlines() if line.startswith("wchar:")]
    return int(line.split()[1]) / BYTES_PER_MB
