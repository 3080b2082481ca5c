"""Runs a world from its beginning to its end, or to the first broken promise."""

from collections.abc import Awaitable, Callable
from random import Random

from trio.abc import Instrument
from trio.lowlevel import Task

from verification.simulation.randomness import run_by
from verification.simulation.world import ViolationError, World


class _Steps(Instrument):
    """Notifies the world of each step of a task, so that a process can die at any of them."""

    world: World | None = None

    def before_task_step(self, task: Task) -> None:
        """Count."""
        if self.world is not None:
            self.world.count_step()


def run_world(
    chance: Random, make: Callable[[], World], live: Callable[[World], Awaitable[None]]
) -> tuple[World, str | None]:
    """Create a world and run it; return it with the promise that was broken, None if all were kept."""
    steps = _Steps()

    async def main() -> tuple[World, str | None]:
        world = make()
        steps.world = world
        violation = None
        try:
            await live(world)
        except* ViolationError as group:
            violation = str(_first(group))
        finally:
            steps.world = None
            world.close()
        return world, violation

    return run_by(chance, main, steps)


def _first(group: BaseExceptionGroup[ViolationError]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
