"""The crash harness: victims are killed by SIGKILL repeatedly, restarted, and checked after each death.

A campaign is one ledger, paid by one process after the other until one gets to the end. Each is a real process, forked
from one that has loaded the modules already, so that a start costs milliseconds.
"""

import gc
import itertools
import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from verification.crash.expected_ledger import Expected, Origin, make_ledger
from verification.crash.invariants import inspect, read_sends
from verification.crash.victim import COUNTS, ERROR, Ending, Kind, live
from verification.testbed.databases import Ground
from verification.testbed.findings import Findings, Losses
from verification.testbed.statement_cache import compile_once

LONGEST_LIFE_SECONDS: Final = 60.0
KILLS_PER_CAMPAIGN: Final = 12
TEMPLATE: Final = "template"
UNDISTURBED: Final = "undisturbed"
_PRELOADED: Final = [
    "verification.crash.victim",
    "verification.crash.concurrent_clients",
    "anyio._backends._asyncio",
    "sqlalchemy.dialects.sqlite",
    "psycopg",
]


@dataclass(slots=True)
class Tally:
    """The results of a number of campaigns."""

    kills: Counter[Kind] = field(default_factory=Counter)
    batches: Counter[Origin] = field(default_factory=Counter)
    lives: int = 0
    credited_cents: int = 0
    sends: int = 0
    repeated_sends: int = 0
    losses: Losses = field(default_factory=Losses)
    violations: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        self.kills += other.kills
        self.batches += other.batches
        self.lives += other.lives
        self.credited_cents += other.credited_cents
        self.sends += other.sends
        self.repeated_sends += other.repeated_sends
        self.losses += other.losses
        self.violations += other.violations

    def findings(self, kind: str, seconds: float) -> Findings:
        """Return this tally's findings."""
        return Findings(
            part=f"the process is ended by SIGKILL, its ledger is on {kind}",
            seconds=seconds,
            figures=(
                *((f"kills {kind}", self.kills[kind]) for kind in Kind),
                ("kills in all", self.kills.total()),
                *((f"batches {origin}, paid to the end", self.batches[origin]) for origin in Origin),
                ("processes started", self.lives),
                ("cents credited, each once", self.credited_cents),
                ("direct messages sent", self.sends),
                ("of these repeats, all inside the documented window", self.repeated_sends),
            ),
            losses=self.losses,
            violations=tuple(self.violations),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """The starting state of every campaign, and an undisturbed run's length, in seconds and in occasions to die."""

    ground: Ground
    template: Path
    expected: Expected
    life_seconds: float
    occasions: dict[Kind, int]


def context() -> multiprocessing.context.ForkServerContext:
    """Return the fork server's context, with the modules of victims and concurrent clients loaded beforehand."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(_PRELOADED)
    return forkserver


def open_pool(workers: int) -> ProcessPoolExecutor:
    """Start the processes that fork victims: each has one thread, so that it may fork.

    Processes, not threads: two threads must not wait for multiprocessing's children at once.
    """
    return ProcessPoolExecutor(workers, mp_context=context(), initializer=_settle_in)


def _settle_in() -> None:
    compile_once()
    # Memory that the collector touches in a victim is copied by the system.
    gc.freeze()


def raise_victim(folder: Path, ground: Ground) -> Victim:
    """Create the ledger, and run one undisturbed victim to measure it. Raises RuntimeError if it fails.

    To be called in a process of `open_pool`, like `run_campaign`.
    """
    template = folder / TEMPLATE
    expected = make_ledger(ground.create(template))
    campaign = folder / UNDISTURBED
    for _ in range(2):  # The first run pays the one-time costs.
        ground.clear(campaign)
        ground.copy(template, campaign)
        began = time.perf_counter()
        _live_once(campaign, 0, expected, Origin.ADMIN, None)
        life_seconds = time.perf_counter() - began
    violations = inspect(campaign, expected, Origin.ADMIN, done=True).violations
    if violations:
        message = f"an undisturbed run went wrong: {violations}"
        raise RuntimeError(message)
    counts = (campaign / COUNTS).read_text(encoding="utf-8").split()
    occasions = dict(zip(Kind, map(int, counts), strict=True))
    return Victim(ground=ground, template=template, expected=expected, life_seconds=life_seconds, occasions=occasions)


def choose_ending(chance: Random, victim: Victim) -> Ending:
    """Choose a kind, then a moment in the first half of a whole run: a run that resumes has less to do."""
    kind = chance.choice(list(Kind))
    if kind is Kind.RANDOM_MOMENT:
        return Ending(kind=kind, seconds=chance.uniform(0, victim.life_seconds / 2))
    return Ending(kind=kind, nth=chance.randint(1, max(1, victim.occasions[kind] // 2)))


def run_campaign(folder: Path, victim: Victim, chance: Random) -> Tally:
    """Pay one ledger, killed up to twelve times on the way; check it after each death."""
    victim.ground.copy(victim.template, folder)
    origin = chance.choice(list(Origin))
    tally = Tally()
    for life in itertools.count():
        ending = choose_ending(chance, victim) if life < KILLS_PER_CAMPAIGN else None
        killed = _live_once(folder, life, victim.expected, origin, ending)
        tally.lives += 1
        found = inspect(folder, victim.expected, origin, done=not killed)
        tally.violations += [f"batch {origin}, life {life}, {ending}: {violation}" for violation in found.violations]
        tally.losses += found.losses
        if ending is not None and killed:
            tally.kills[ending.kind] += 1
        if not killed or found.violations:
            break
    sends = read_sends(folder)
    tally.sends, tally.repeated_sends = len(sends.lines), sends.repeats
    tally.batches[origin] += 1
    tally.credited_cents = sum(victim.expected.of(origin).credited_cents.values())
    return tally


def _live_once(folder: Path, life: int, expected: Expected, origin: Origin, ending: Ending | None) -> bool:
    """Run a victim once; True if SIGKILL ended it. Raises RuntimeError if it failed by itself."""
    process = multiprocessing.get_context("fork").Process(
        target=live, args=(str(folder), life, expected.skipped, origin, ending)
    )
    process.start()
    by_clock = ending is not None and ending.kind is Kind.RANDOM_MOMENT
    process.join(ending.seconds if ending is not None and by_clock else LONGEST_LIFE_SECONDS)
    hung = process.is_alive() and not by_clock
    process.kill()
    process.join()
    exit_code = process.exitcode
    process.close()
    if hung or exit_code not in {0, -signal.SIGKILL}:
        error = folder / ERROR
        told = error.read_text(encoding="utf-8") if error.exists() else f"exit code {exit_code}, hung: {hung}"
        message = f"life {life} with {ending} did not end as expected: {told}"
        raise RuntimeError(message)
    return exit_code != 0


def run_campaigns(
    folder: Path,
    *,
    kills: int,
    seed: int,
    workers: int,
    ground: Ground,
    watch: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Run campaigns, `workers` at a time, until so many kills have been survived; return the results.

    The same seed chooses the same endings. Each entry of `violations` names its campaign; the expected result is an
    empty list.
    """
    numbers, total = itertools.count(), Tally()
    with open_pool(workers) as pool:
        victim = pool.submit(raise_victim, folder, ground).result()
        running = {pool.submit(_campaign, folder, victim, seed, next(numbers)) for _ in range(workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for campaign in done:
                total.add(campaign.result())
                watch(total)
                if total.kills.total() < kills and not total.violations:
                    running.add(pool.submit(_campaign, folder, victim, seed, next(numbers)))
    for name in (TEMPLATE, UNDISTURBED):
        victim.ground.clear(folder / name)
    return total


def _campaign(folder: Path, victim: Victim, seed: int, number: int) -> Tally:
    campaign = folder / f"campaign-{number}"
    tally = run_campaign(campaign, victim, Random(f"{seed}/{number}"))  # noqa: S311 -- repeatable chance
    tally.violations = [f"campaign {number}, {violation}" for violation in tally.violations]
    victim.ground.clear(campaign)
    return tally
