"""The calm after the scenes: what is judged is a world that has come to its end."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import anyio
import pytest

from cashback.settings import RoleIds, Settings
from verification.simulation.actors import Actors
from verification.simulation.environment import Environment
from verification.simulation.quiescence import calm_down
from verification.simulation.randomness import CALM
from verification.simulation.run_world import run_world
from verification.simulation.workload import prepare
from verification.simulation.world import ADMIN_ROLE, World


@pytest.mark.parametrize("seed", range(5))
def test_slot_in_the_last_minute_is_decided(seed: int) -> None:
    """Nothing triggers the slot in quiescence: the program checks it within a minute."""
    chance = Random(seed)
    with Environment() as environment:

        def make() -> World:
            return World(environment.computers(), chance, Settings(role_ids=RoleIds(admin=ADMIN_ROLE)), CALM)

        async def live(world: World) -> None:
            async with anyio.create_task_group() as crowd:
                actors = Actors(world, crowd, referrers=3)
                await prepare(world, actors)
                # The schedule must be in force before the slot, and the calm begins an hour later.
                world.clock.move_to(world.rule.next_slot(world.clock()) - timedelta(hours=1, seconds=0.5))
                await calm_down(world, actors)

        world, violation = run_world(chance, make, live)
    assert violation is None
    assert len(world.model.slots) == 1
