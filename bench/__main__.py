"""`make bench`: prints this program beside its floor, the ratio, and the memory that each took.

Each measurement is a process of its own, so that its peak memory is its own. Floor and program alternate, so that a
slow moment of the machine hits both; the medians are printed.
"""

import argparse
import json
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.community import make_community
from bench.crediting import credit
from bench.floor import credit_raw

ROUNDS = 3


def _measure_once(kind: str, path: Path) -> dict[str, float]:
    """Run one measurement in this process: payouts a second, peak memory in MB, longest hold of the loop in ms."""
    if kind == "floor":
        payouts, seconds = credit_raw(path)
        late = [0.0]
    else:
        payouts, seconds, late = credit(path)
    late.sort()
    return {
        "per_second": payouts / seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "loop_max_ms": late[-1] * 1000,
        "loop_p999_ms": late[int(len(late) * 0.999)] * 1000,
    }


def _measure(kind: str, community: Path, folder: Path) -> dict[str, float]:
    """Measure on a fresh copy of the community, in a process of its own."""
    copy = folder / f"{kind}.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
    shutil.copy(community, copy)
    command = [sys.executable, "-m", "bench", "--once", kind, str(copy)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- ourselves
    measured: dict[str, float] = json.loads(printed)
    return measured


def _compare(referrers: int, table: Table) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        community = folder / "community.db"
        make_community(community, referrers=referrers)
        rounds = [(_measure("floor", community, folder), _measure("program", community, folder)) for _ in range(ROUNDS)]
    ratio = statistics.median(program["per_second"] / floor["per_second"] for floor, program in rounds)
    for index, kind in enumerate(("floor", "program")):
        figures = {key: statistics.median(pair[index][key] for pair in rounds) for key in rounds[0][index]}
        is_program = kind == "program"
        table.add_row(
            f"{referrers:,}",
            kind,
            f"{figures['per_second']:,.0f}",
            f"{ratio:.2f}" if is_program else "",
            f"{figures['peak_mb']:.0f}",
            f"{figures['loop_p999_ms']:.1f} / {figures['loop_max_ms']:.1f}" if is_program else "",
        )


def main() -> None:
    """Print the table, or run the one measurement that is asked for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--referrers", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--once", nargs=2, metavar=("KIND", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        kind, file = arguments.once
        print(json.dumps(_measure_once(kind, Path(file))))
        return
    table = Table(title=f"Crediting, 3 referrals each (Python {platform.python_version()}, median of {ROUNDS})")
    for column in ("referrers", "who", "payouts/s", "ratio", "peak MB", "loop held, p99.9 / max ms"):
        table.add_column(column, justify="left" if column == "who" else "right")
    for referrers in arguments.referrers:
        _compare(referrers, table)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
