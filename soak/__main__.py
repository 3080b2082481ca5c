"""`make soak`: puts the program under fire for as long as is asked for, and writes what came of it into a page.

Ends with 1 where anything was violated; each violation is printed with the seed that repeats it. The seeds come last
and take the longest: a Control-C among them ends the soak with what was tried until then.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from simulation.campaign import run_seeds
from soak.crash import run_campaigns
from soak.doors import doors, try_door
from soak.findings import Findings
from soak.grounds import Files, Ground, Server, new_server
from soak.page import verdict, write_page
from soak.rush import run_rushes

Say = Callable[[str], None]
DEFAULTS: Final = {"kills": 5_000, "server-kills": 500, "seeds": 100_000, "crowds": 50, "inputs": 20_000, "seed": 1}
ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)


def _crash(folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    return _kill(folder, Files(), wanted.kills, wanted, say)


def _crash_on_server(folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    with new_server() as address:
        return _kill(folder, Server(address), wanted.server_kills, wanted, say)


def _kill(folder: Path, ground: Ground, kills: int, wanted: argparse.Namespace, say: Say) -> Findings:
    began = time.perf_counter()
    tally = run_campaigns(
        folder,
        kills=kills,
        seed=wanted.seed,
        workers=wanted.workers,
        ground=ground,
        watch=lambda so_far: say(f"{so_far.kills.total():,} of {kills:,} kills, {ground.kind}"),
    )
    return tally.findings(ground.kind, time.perf_counter() - began)


def _chance(_folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    """Run the seeds. A Control-C or SIGTERM leaves out the rest of them, and the soak is one of those that were run."""
    began = time.perf_counter()
    with _interrupts_noted() as noted:
        tally = run_seeds(
            wanted.seed,
            wanted.seeds,
            os.cpu_count() or 1,
            lambda so_far: say(f"{so_far.seeds:,} of {wanted.seeds:,} seeds"),
            lambda: bool(noted),
        )
    wanted.seeds = tally.seeds
    return Findings(
        part="the whole program lives in worlds of chance",
        seconds=time.perf_counter() - began,
        figures=(
            ("seeds, each a world of its own", tally.seeds),
            ("processes in them", tally.lives),
            ("of these died", tally.deaths),
            ("commits", tally.commits),
            ("batches", tally.batches),
            ("cents credited", tally.credited_cents),
            ("direct messages seen by somebody", tally.messages),
            ("of these repeats, all inside the documented window", tally.repeated_messages),
        ),
        violations=tuple(tally.violations),
    )


@contextmanager
def _interrupts_noted() -> Iterator[list[int]]:
    """Collect Control-C and SIGTERM instead of ending by them."""
    noted: list[int] = []
    before = {one: signal.signal(one, lambda number, _frame: noted.append(number)) for one in ENDINGS}
    try:
        yield noted
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _crowd(folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    return run_rushes(folder, rushes=wanted.crowds, watch=lambda done: say(f"{done:,} of {wanted.crowds:,} crowds"))


def _hostile(folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    began = time.perf_counter()
    violations, ways = [], doors(folder)
    each = -(-wanted.inputs // len(ways))
    for door in ways:
        say(f"{each:,} inputs as {door.name}")
        try:
            try_door(door, each, wanted.seed)
        except AssertionError as error:
            violations.append(f"{door.name}: {' '.join(str(error).split())}")
    return Findings(
        part="bad inputs, each answered clearly",
        seconds=time.perf_counter() - began,
        figures=tuple((door.name, each) for door in ways),
        violations=tuple(violations),
    )


def _soak(wanted: argparse.Namespace, say: Say) -> Iterator[Findings]:
    """Run each part of which any is wanted."""
    for count, part in (
        (wanted.kills, _crash),
        (wanted.server_kills, _crash_on_server),
        (wanted.crowds, _crowd),
        (wanted.inputs, _hostile),
        (wanted.seeds, _chance),
    ):
        if count:
            with tempfile.TemporaryDirectory() as folder:
                yield part(Path(folder), wanted, say)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"[{default}]")
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1), help="campaigns at a time")
    parser.add_argument("--no-page", action="store_true", help="leave docs/reliability.md as it is")
    return parser.parse_args()


def main() -> int:
    """Run the soak that is asked for; 0 where nothing was violated."""
    wanted = _parse()
    console = Console(width=110)
    parts = []
    with console.status("starting") as status:
        for part in _soak(wanted, status.update):
            parts.append(part)
            table = Table("what", "how often", title=f"{part.part}: {part.seconds:,.0f} s", title_justify="left")
            for what, count in part.figures:
                table.add_row(what, f"{count:,}")
            console.print(table)
    table = Table("what was looked for", "found")
    for what, found in verdict(parts):
        table.add_row(what, f"{found:,}")
    violations = [violation for part in parts for violation in part.violations]
    console.print(table, *violations, sep="\n", markup=False)
    if not wanted.no_page:
        asked = (f"--{name} {getattr(wanted, name.replace('-', '_'))}" for name in DEFAULTS)
        write_page(parts, " ".join(["python -m soak", *asked]))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
