"""`python -m verification.simulation --seed 12345` prints the story of one world; `--first 1 --count 1000` tries many.

Exits with 1 if a promise was broken.
"""

import argparse
import os
import sys

from rich.console import Console

from verification.simulation.campaign import run_seeds
from verification.simulation.environment import Environment
from verification.simulation.seeds import run_seed


def tell(seed: int, console: Console) -> int:
    """Print the story of one seed, checked after each commit; return the exit code."""
    with Environment() as environment:
        outcome = run_seed(seed, environment, watch_closely=True)
    for line in outcome.story:
        console.out(line, highlight=False)
    console.out(f"seed {seed}: {outcome.violation or 'every promise was kept'}", highlight=False)
    return 1 if outcome.violation else 0


def campaign(first: int, count: int, workers: int, console: Console) -> int:
    """Try many seeds, print the failing ones and the figures; return the exit code."""
    with console.status("starting") as status:
        tally = run_seeds(first, count, workers, lambda so_far: status.update(f"{so_far.seeds:,} of {count:,} seeds"))
    for violation in tally.violations:
        console.out(violation, highlight=False)
    console.out(
        f"{tally.seeds:,} seeds, {tally.lives:,} processes, {tally.deaths:,} of them died, {tally.commits:,} commits,"
        f" {tally.batches:,} batches, {tally.credited_cents:,} cents credited, {tally.messages:,} direct messages seen,"
        f" {tally.repeated_messages:,} of them repeats inside the window, {len(tally.violations):,} violations",
        highlight=False,
    )
    return 1 if tally.violations else 0


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="print the story of this seed")
    parser.add_argument("--first", type=int, default=1, help="the first seed of many [1]")
    parser.add_argument("--count", type=int, default=300, help="how many [300]")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="how many processes [one a core]")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True)
    if arguments.seed is not None:
        return tell(arguments.seed, console)
    return campaign(arguments.first, arguments.count, arguments.workers, console)


if __name__ == "__main__":
    sys.exit(main())
