"""`make soak`: survives thousands of kills, prints what they came to, and writes the figures into docs/reliability.md.

Ends with 1 where anything was violated; then the campaign and the ending are printed, and the seed repeats them.
"""

import argparse
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from soak.crash import Tally, run_campaigns
from soak.life import Kind

PAGE: Final = Path(__file__).parent.parent / "docs" / "reliability.md"
BEGIN: Final = "<!-- soak: written by `python -m soak` -->\n"
END: Final = "<!-- soak: end -->\n"


def _figures(tally: Tally) -> list[tuple[str, str]]:
    rows = [(f"kills {kind}", f"{tally.kills[kind]:,}") for kind in Kind]
    return [
        *rows,
        ("kills in all", f"{tally.kills.total():,}"),
        ("batches paid to the end", f"{tally.campaigns:,}"),
        ("processes started", f"{tally.lives:,}"),
        ("cents credited, each once", f"{tally.credited_cents:,}"),
        ("direct messages sent", f"{tally.sends:,}"),
        ("of these repeats, all inside the window", f"{tally.repeated_sends:,}"),
        ("violations", f"{len(tally.violations):,}"),
    ]


def _commit() -> str:
    def git(*words: str) -> str:
        command = ["git", "-C", str(PAGE.parent), *words]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()  # noqa: S603 -- git

    changed = " with changes" if git("status", "--porcelain") else ""
    return f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{changed}"


def _write_page(tally: Tally, command: str, seconds: float) -> None:
    """Replace what stands between the marks by these figures."""
    machine = (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}"
    )
    lines = [f"`{command}` in {seconds:,.0f} s, commit {_commit()}, {machine}:", "", "| what | figure |", "|---|---|"]
    lines += [f"| {what} | {figure} |" for what, figure in _figures(tally)]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([before + BEGIN, *lines, "", END + after]), encoding="utf-8")


def main() -> int:
    """Run the soak that is asked for; 0 where nothing was violated."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--no-page", action="store_true", help="leave docs/reliability.md as it is")
    arguments = parser.parse_args()
    console = Console(width=110)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, console.status("starting") as status:
        tally = run_campaigns(
            Path(folder),
            kills=arguments.kills,
            seed=arguments.seed,
            workers=arguments.workers,
            watch=lambda so_far: status.update(f"{so_far.kills.total():,} of {arguments.kills:,} kills"),
        )
    seconds = time.perf_counter() - began
    table = Table("what", "figure", title=f"{seconds:,.0f} s, seed {arguments.seed}")
    for row in _figures(tally):
        table.add_row(*row)
    console.print(table, *tally.violations, sep="\n")
    if not arguments.no_page and not tally.violations:
        command = f"python -m soak --kills {arguments.kills} --seed {arguments.seed}"
        _write_page(tally, command, seconds)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
