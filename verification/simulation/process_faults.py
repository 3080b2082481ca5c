"""What becomes of one process: the faults that it meets, and when it dies."""

from collections.abc import Callable
from random import Random
from typing import Final

import anyio

from verification.simulation.randomness import STEPS_OF_A_LIFE, Odds

STATEMENT_SECONDS: Final = (0.001, 0.02, 0.5, 3.0)


class DiedError(BaseException):
    """The process is dead: nobody handles this, and nothing that it still does leaves a trace outside of it."""


class Fate:
    """Decides for one process. What is dead commits nothing and sends nothing; its tasks are then cancelled."""

    def __init__(self, chance: Random, odds: Odds, tell: Callable[[str], None]) -> None:
        """Take the chance, the odds, and who is told what strikes."""
        self.is_dead = False
        self.on_death: Callable[[], None] = lambda: None
        self._chance = chance
        self._odds = odds
        self._tell = tell
        self._steps_left: int | None = None
        if self.strikes("death_at_a_step", times=10):
            self._steps_left = int(STEPS_OF_A_LIFE ** chance.random())

    def strikes(self, fault: str, *, times: int = 1) -> bool:
        """Tell whether a fault of the odds strikes now."""
        odds: float = getattr(self._odds, fault)
        if not odds or self._chance.random() >= odds * times:
            return False
        self._tell(f"  {fault.replace('_', ' ')}")
        return True

    async def linger(self) -> None:
        """Let a statement take its time, where statements are slow."""
        if self._odds.slow_statement and self._chance.random() < 10 * self._odds.slow_statement:
            await anyio.sleep(self._chance.choice(STATEMENT_SECONDS))

    def go_on(self) -> None:
        """Raise DiedError where the process is dead."""
        if self.is_dead:
            raise DiedError

    def die_perhaps(self, moment: str) -> None:
        """Die here, or go on. Raises DiedError."""
        if self.strikes("death_at_commit"):
            self.die(moment)
            raise DiedError

    def die(self, moment: str) -> None:
        """End the process. What its tasks still do is undone or goes nowhere."""
        if not self.is_dead:
            self._tell(f"  the process dies {moment}")
            self.is_dead = True
            self.on_death()

    def count_step(self) -> None:
        """Take note that some task is about to go on; die where that was the last step."""
        if self._steps_left is not None and not self.is_dead:
            self._steps_left -= 1
            if self._steps_left <= 0:
                self.die("at a step of some task")
