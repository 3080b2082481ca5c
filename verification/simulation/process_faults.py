"""The faults of one process, and its death."""

from collections.abc import Callable
from random import Random
from typing import Final

import anyio

from verification.simulation.randomness import STEPS_OF_A_LIFE, FaultRates

STATEMENT_SECONDS: Final = (0.001, 0.02, 0.5, 3.0)


class DiedError(BaseException):
    """The process is dead: no code handles this, and nothing that it still does leaves a trace outside of it."""


class ProcessFaults:
    """Decides the faults of one process. A dead process commits and sends nothing; its tasks are then cancelled."""

    def __init__(self, chance: Random, fault_rates: FaultRates, tell: Callable[[str], None]) -> None:
        """`fault_rates` are the probabilities of the faults; `tell` is called with each."""
        self.is_dead = False
        self.on_death: Callable[[], None] = lambda: None
        self._chance = chance
        self._fault_rates = fault_rates
        self._tell = tell
        self._steps_left: int | None = None
        if self.strikes("death_at_a_step", times=10):
            self._steps_left = int(STEPS_OF_A_LIFE ** chance.random())

    def strikes(self, fault: str, *, times: int = 1) -> bool:
        """Return whether a fault occurs now."""
        fault_rates: float = getattr(self._fault_rates, fault)
        if not fault_rates or self._chance.random() >= fault_rates * times:
            return False
        self._tell(f"  {fault.replace('_', ' ')}")
        return True

    async def linger(self) -> None:
        """Delay a statement, if statements are slow."""
        if self._fault_rates.slow_statement and self._chance.random() < 10 * self._fault_rates.slow_statement:
            await anyio.sleep(self._chance.choice(STATEMENT_SECONDS))

    def go_on(self) -> None:
        """Raise DiedError if the process is dead."""
        if self.is_dead:
            raise DiedError

    def die_perhaps(self, moment: str) -> None:
        """Die here, or continue. Raises DiedError."""
        if self.strikes("death_at_commit"):
            self.die(moment)
            raise DiedError

    def die(self, moment: str) -> None:
        """End the process. What its tasks still do is rolled back or discarded."""
        if not self.is_dead:
            self._tell(f"  the process dies {moment}")
            self.is_dead = True
            self.on_death()

    def count_step(self) -> None:
        """Count a task's step; die if it was the last."""
        if self._steps_left is not None and not self.is_dead:
            self._steps_left -= 1
            if self._steps_left <= 0:
                self.die("at a step of some task")
