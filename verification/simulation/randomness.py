"""Chance: one seeded source decides what goes wrong, what people do, and in which order the tasks take their turns."""

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
"""A life that is to end at a step of some task ends within so many, sooner rather than later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How likely each thing is to go wrong on each occasion, from 0 to 1."""

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
        """Spare a world about half of the faults, and give it the others seldom or often: worlds differ in kind."""
        return cls(**{each.name: chance.choice((0.0, 0.0, 0.01, 0.06)) for each in fields(cls)})


CALM: Final = Odds()
"""Nothing goes wrong."""


def run_by(chance: Random, main: Callable[[], Awaitable[T]], *instruments: Instrument) -> T:
    """Run a coroutine on trio, on a clock that jumps to the next deadline when everybody waits.

    Each time that several tasks can go on, `chance` decides their order. Trio keeps its own source of chance, and the
    switch that makes it repeatable, in a private module: Hypothesis reaches for them there too.
    """
    options = {"clock": MockClock(autojump_threshold=0), "instruments": instruments}
    with mock.patch.multiple("trio._core._run", _r=chance, _ALLOW_DETERMINISTIC_SCHEDULING=True):
        return anyio.run(main, backend="trio", backend_options=options)
