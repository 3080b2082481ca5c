"""Many seeds on several cores, and their results."""

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Final, Self

from verification.simulation.environment import Environment
from verification.simulation.seeds import Outcome, run_seed

SEEDS_AT_ONCE: Final = 50
"""Seeds that one worker runs in one folder before it reports their results."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """The results of a number of seeds. Each violation begins with the seed that repeats it."""

    seeds: int = 0
    lives: int = 0
    deaths: int = 0
    commits: int = 0
    batches: int = 0
    credited_cents: int = 0
    messages: int = 0
    repeated_messages: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.lives += outcome.lives
        self.deaths += outcome.deaths
        self.commits += outcome.commits
        self.batches += outcome.batches
        self.credited_cents += outcome.credited_cents
        self.messages += outcome.messages
        self.repeated_messages += outcome.repeated_messages
        if outcome.violation is not None:
            self.violations.append(f"seed {outcome.seed}: {outcome.violation}")

    def join(self, other: Self) -> None:
        """Add another tally to this one."""
        self.seeds += other.seeds
        self.lives += other.lives
        self.deaths += other.deaths
        self.commits += other.commits
        self.batches += other.batches
        self.credited_cents += other.credited_cents
        self.messages += other.messages
        self.repeated_messages += other.repeated_messages
        self.violations += other.violations


def run_seeds(
    first: int,
    count: int,
    workers: int,
    watch: Callable[[Tally], None] = lambda _: None,
    is_enough: Callable[[], bool] = lambda: False,
) -> Tally:
    """Run `count` seeds from `first` on, in so many processes; `watch` receives the results so far.

    `is_enough` is called after each part: if it returns true, running parts are finished, and the rest is omitted. The
    seeds that were run are the first ones either way.
    """
    total = Tally()
    # Not by fork: a test's process has threads and event loops.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_settle_in) as pool:
        seeds = range(first, first + count)
        parts = [
            pool.submit(_run_part, seeds[start : start + SEEDS_AT_ONCE]) for start in range(0, count, SEEDS_AT_ONCE)
        ]
        for part in as_completed(parts):
            total.join(part.result())
            parts.remove(part)
            watch(total)
            if is_enough():
                break
        # From the last one back: parts that start in the meantime come before all omitted ones.
        for part in [one for one in reversed(parts) if not one.cancel()]:
            total.join(part.result())
            watch(total)
    total.violations.sort()
    return total


def _settle_in() -> None:
    """Ignore a Control-C, which the terminal sends to every process: the parent process decides when to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Imported modules stay: the collector need not scan them again in each world.
    gc.freeze()


def _run_part(seeds: Iterable[int]) -> Tally:
    tally = Tally()
    with Environment() as environment:
        for seed in seeds:
            tally.add(run_seed(seed, environment))
    return tally
