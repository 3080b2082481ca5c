"""Scenes: pieces of time, most of them around a slot of the weekly batch, in which anything may happen."""

from datetime import timedelta
from functools import partial
from typing import Final

import anyio

from verification.simulation.actors import FIRST_REFERRER, Actors
from verification.simulation.world import World

SCENE_SECONDS: Final = (20.0, 60.0, 250.0)
PAUSE_DAYS: Final = (10, 10, 40)


async def prepare(world: World, actors: Actors) -> None:
    """Create the community. Now and then one member wants no messages, and one wallet refuses to be written."""
    async with world.calm_ledger() as ledger:
        await actors.found(ledger)
    if world.chance.random() < 0.3:  # noqa: PLR2004 -- three in ten
        world.execute(
            "INSERT INTO cashback_notification_preferences (user_id, payout_dm) VALUES (?, 0)", FIRST_REFERRER
        )
    if world.chance.random() < 0.3:  # noqa: PLR2004 -- three in ten
        world.break_wallet(FIRST_REFERRER + 1)


def back_up_or_restore(world: World) -> None:
    """Now and then, while no process runs: copy the ledger, or put the copy back, as after a lost disk."""
    if world.chance.random() < 0.3:  # noqa: PLR2004 -- three in ten
        world.back_up()
    elif world.chance.random() < 0.4:  # noqa: PLR2004 -- four in ten, if there is a copy
        world.restore()


async def play_scene(world: World, actors: Actors) -> None:
    """Let a piece of time pass in which anything may happen."""
    chance = world.chance
    seconds = chance.choice(SCENE_SECONDS)
    if chance.random() < 0.7:  # noqa: PLR2004 -- most happens around a slot
        before = chance.uniform(-40 * 3_600, 0) if chance.random() < 0.2 else chance.uniform(0, seconds)  # noqa: PLR2004 -- one chance in five
        world.clock.move_to(world.rule.next_slot(world.clock()) - timedelta(seconds=before))
    else:
        world.clock.move_to(world.clock() + timedelta(days=chance.uniform(0, chance.choice(PAUSE_DAYS))))
    world.tell(f"scene of {seconds:g} s")
    async with anyio.create_task_group() as computers:
        for computer in range(2 if world.fault_rates.overlap else 1):
            computers.start_soon(
                partial(world.keep_alive, computer, fault_rates=world.fault_rates), name=f"computer {computer}"
            )
        for _ in range(chance.randint(8, 18)):
            actors.at(chance.uniform(0, seconds), actors.anybody())
        await anyio.sleep(seconds)
        # Half of the scenes end with a stop, the others with a power cut.
        await world.end_lives(gently=chance.random() < 0.5)  # noqa: PLR2004 -- half
        computers.cancel_scope.cancel()
