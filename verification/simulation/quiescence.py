"""Quiescence after the scenes: faults have ended, and all work must come to its end."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

import anyio

from cashback.database.integrity import reconciliation
from cashback.domain.model import BatchStatus, BatchSummary
from cashback.services import CLI, Actor
from verification.simulation.actors import FIRST_ADMIN, Actors
from verification.simulation.invariants import unsent
from verification.simulation.process import Process
from verification.simulation.randomness import CALM
from verification.simulation.world import World

SECOND_ADMIN: Final = FIRST_ADMIN + 7
LOOKS: Final = 200
POLL_SECONDS: Final = 90.0


async def calm_down(world: World, actors: Actors) -> None:
    """End all faults: unfinished work is completed, and one last batch pays everything pending."""
    world.tell("calm")
    held = timedelta(days=world.settings.referral_settings.holding_days)
    world.clock.move_to(world.clock.latest + held + timedelta(hours=1))
    async with anyio.create_task_group() as computers:
        computers.start_soon(partial(world.keep_alive, 0, fault_rates=CALM), name="computer 0")
        await _wait(world, lambda: not actors.busy)
        await _decide_what_waits(world)
        await _wait(world, partial(_is_quiet, world))
        await _pay_the_rest(world)
        await _decide_what_waits(world)
        await _wait(world, partial(_is_quiet, world))
        world.inspect_end()
        await world.insist("the ledger is asked to prove itself", partial(_verify, world))
        computers.cancel_scope.cancel()


async def _wait(world: World, done: Callable[[], bool]) -> None:
    """Wait until a condition holds; not forever, because the final check reports what is stuck."""
    for _ in range(LOOKS):
        if done():
            return
        await anyio.sleep(POLL_SECONDS)
    world.tell("nobody waits any longer")


def _is_quiet(world: World) -> bool:
    # A slot that has just passed is decided at the program's next check: nothing triggers it here.
    is_done = not world.model.open_batches() and not world.model.overdue(world.clock())
    # Nor does anything trigger the sender of payouts to members who want each one sent.
    return is_done and not world.queued() and not world.undecided_slots() and not any(unsent(world))


async def _decide_what_waits(world: World) -> None:
    """Approve waiting batches as a second admin, and resume those that an admin had stopped."""
    for number, batch in list(world.model.batches.items()):
        if batch.status is BatchStatus.PROPOSED and batch.first_approved_by is not None:
            await _approve(world, world.admin(SECOND_ADMIN), number)
        elif batch.status is BatchStatus.STOPPED:
            await world.insist(f"batch {number} is resumed", partial(_resume, number))


async def _resume(number: int, life: Process) -> None:
    await life.service.resume(CLI, number)


async def _approve(world: World, admin: Actor, number: int) -> None:
    world.model.entitled.add((str(admin), number))

    async def approve(life: Process) -> object:
        return await life.service.approve(admin, number)

    await world.insist(f"{admin} approves batch {number}", approve)


async def _pay_the_rest(world: World) -> None:
    issuer = world.admin(FIRST_ADMIN)

    async def propose(life: Process) -> BatchSummary:
        return await life.service.propose(issuer)

    summary = await world.insist("the last batch is proposed", propose)
    if summary is not None:
        await _approve(world, issuer, summary.batch_number)


async def _verify(world: World, life: Process) -> None:
    verdict = await life.ledger.read(reconciliation.verify)
    world.judge([f"verify: {breach}" for breach in verdict.breaches])
