"""`make soak`: stresses the program for as long as requested, and writes the results into a page.

Exits with 1 if anything was violated; each violation is printed with the seed that repeats it. The seeds come last and
take the longest: a Control-C during them ends the soak with the results so far. With `--keep FILE` the same command
continues from there, also after the machine went down, as long as the commit is the same.
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

from verification.crash.checkpoint import Kept, KeptError
from verification.crash.concurrency import run_rushes
from verification.crash.crash import run_campaigns
from verification.crash.report import commit, verdict, write_page
from verification.crash.withdrawal_queue import run_queues
from verification.fuzzing.input_fuzzing import targets, try_target
from verification.night.night import WEEK_SECONDS, run_night
from verification.simulation.campaign import Tally, run_seeds
from verification.testbed.databases import Files, Ground, Server, new_server
from verification.testbed.findings import Findings

Say = Callable[[str], None]
DEFAULTS: Final = {
    "kills": 5_000,
    "server-kills": 500,
    "seeds": 100_000,
    "crowds": 50,
    "queue-kills": 500,
    "inputs": 20_000,
    "night-minutes": 60,
    "seed": 1,
}
ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)
SEEDS_BETWEEN_KEEPING: Final = 1_000


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


def _run_seeds(wanted: argparse.Namespace, kept: Kept, say: Say) -> None:
    """Run the remaining seeds. A Control-C or SIGTERM omits the rest; the soak then covers those that were run."""

    def tell(so_far: Tally) -> None:
        say(f"{kept.seeds.seeds + so_far.seeds:,} of {wanted.seeds:,} seeds")

    with _interrupts_noted() as noted:
        while (left := wanted.seeds - kept.seeds.seeds) and not noted:
            began, first = time.perf_counter(), wanted.seed + kept.seeds.seeds
            at_once = min(SEEDS_BETWEEN_KEEPING, left)
            tally = run_seeds(first, at_once, os.cpu_count() or 1, tell, lambda: bool(noted))
            kept.seeds.join(tally)
            kept.seconds_of_seeds += time.perf_counter() - began
            kept.write(wanted.keep)


def _chance(tally: Tally, seconds: float) -> Findings:
    return Findings(
        part="the whole program runs in randomized worlds",
        seconds=seconds,
        figures=(
            ("seeds, each a world of its own", tally.seeds),
            ("processes in them", tally.lives),
            ("of these died", tally.deaths),
            ("commits", tally.commits),
            ("batches", tally.batches),
            ("cents credited", tally.credited_cents),
            ("direct messages that members saw", tally.messages),
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


def _queue(folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    def tell(done: int) -> None:
        say(f"{done:,} of {wanted.queue_kills:,} kills at the queue of withdrawals")

    return run_queues(folder, Files(), kills=wanted.queue_kills, seed=wanted.seed, watch=tell)


def _hostile(folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    began = time.perf_counter()
    violations, ways = [], targets(folder)
    each = -(-wanted.inputs // len(ways))
    for door in ways:
        say(f"{each:,} inputs as {door.name}")
        try:
            try_target(door, each, wanted.seed)
        except AssertionError as error:
            violations.append(f"{door.name}: {' '.join(str(error).split())}")
    return Findings(
        part="malformed inputs, each answered clearly",
        seconds=time.perf_counter() - began,
        figures=tuple((door.name, each) for door in ways),
        violations=tuple(violations),
    )


def _night_on_file(folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    return _night(folder, "file", wanted, say)


def _night_on_server(folder: Path, wanted: argparse.Namespace, say: Say) -> Findings:
    return _night(folder, "server", wanted, say)


def _night(folder: Path, kind: str, wanted: argparse.Namespace, say: Say) -> Findings:
    """Spend half of the night on each database."""
    say(f"{wanted.night_minutes / 2:,.0f} minutes of night on a {kind}")
    weeks = max(round(wanted.night_minutes / 2 * 60 / WEEK_SECONDS), 1)
    return run_night(folder / kind, kind, weeks=weeks, seed=wanted.seed)


def _soak(wanted: argparse.Namespace, kept: Kept, say: Say) -> Iterator[Findings]:
    """Run each requested part that was not done before."""
    for name, (size, part) in PARTS.items():
        if not getattr(wanted, size):
            continue
        if name not in kept.parts:
            with tempfile.TemporaryDirectory() as folder:
                kept.parts[name] = part(Path(folder), wanted, say)
            kept.write(wanted.keep)
        yield kept.parts[name]
    if wanted.seeds:
        _run_seeds(wanted, kept, say)
        yield _chance(kept.seeds, kept.seconds_of_seeds)


PARTS: Final = {
    "kills": ("kills", _crash),
    "server_kills": ("server_kills", _crash_on_server),
    "crowds": ("crowds", _crowd),
    "queue_kills": ("queue_kills", _queue),
    "inputs": ("inputs", _hostile),
    "night_on_file": ("night_minutes", _night_on_file),
    "night_on_server": ("night_minutes", _night_on_server),
}
"""Each part with the option that has its size."""


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"[{default}]")
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1), help="campaigns at a time")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="save the soak's progress here, and continue from it")
    parser.add_argument("--no-page", action="store_true", help="do not update docs/explanation/reliability.md")
    return parser.parse_args()


def main() -> int:
    """Run the requested soak; return 0 if nothing was violated."""
    wanted = _parse()
    console = Console(width=110)
    asked = {name: getattr(wanted, name.replace("-", "_")) for name in DEFAULTS}
    try:
        kept = Kept.of(wanted.keep, commit=commit(), asked=asked)
        # Now, rather than after the first part, an hour from here.
        kept.write(wanted.keep)
    except KeptError as error:
        console.print(error, markup=False, soft_wrap=True)
        return 2
    parts = []
    with console.status("starting") as status:
        for part in _soak(wanted, kept, status.update):
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
        run = asked | {"seeds": kept.seeds.seeds}
        write_page(
            parts, " ".join(["python -m verification.crash", *(f"--{name} {count}" for name, count in run.items())])
        )
    if wanted.keep and kept.seeds.seeds == wanted.seeds:
        wanted.keep.unlink(missing_ok=True)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
