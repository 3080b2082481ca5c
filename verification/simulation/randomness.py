"""Randomness: one seeded source decides the faults, the people's actions, and the order of the tasks."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from random import Random
from typing import Final, Self, TypeVar
from unittest import mock

import anyio
from trio.abc import Instrument
from trio.testing import MockClock

T = TypeVar("T")

STEPS_OF_A_LIFE: Final = 2_000
"""The maximum number of steps of a process that ends at a step of some task; small numbers are more likely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """The probability of each fault on each occasion, from 0 to 1."""

    locked: float = 0.0
    disk_full: float = 0.0
    broken_at_commit: float = 0.0
    answer_of_commit_lost: float = 0.0
    death_at_commit: float = 0.0
    death_at_a_step: float = 0.0
    slow_statement: float = 0.0
    closed_door: float = 0.0
    too_fast: float = 0.0
    refused_for_now: float = 0.0
    answer_of_message_lost: float = 0.0
    clock_step: float = 0.0
    overlap: float = 0.0

    @classmethod
    def drawn(cls, chance: Random) -> Self:
        """Drop about half of the faults in a world, and make the others rare or frequent: worlds differ in kind."""
        return cls(**{each.name: chance.choice((0.0, 0.0, 0.01, 0.06)) for each in fields(cls)})


CALM: Final = FaultRates()
"""No faults."""


def run_by(chance: Random, main: Callable[[], Awaitable[T]], *instruments: Instrument) -> T:
    """Run a coroutine on trio, on a clock that jumps to the next deadline when all tasks wait.

    If several tasks can continue, `chance` decides their order. Trio keeps its own source of randomness, and the switch
    that makes it repeatable, in a private module: Hypothesis uses them there too.
    """
    options = {"clock": MockClock(autojump_threshold=0), "instruments": instruments}
    with mock.patch.multiple("trio._core._run", _r=chance, _ALLOW_DETERMINISTIC_SCHEDULING=True):
        return anyio.run(main, backend="trio", backend_options=options)
