"""What goes wrong in a night: bots die or freeze, their clocks are wrong, and the ledger goes away."""

import signal
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from verification.night.ledgers import OUTAGE_SECONDS
from verification.night.scene import Night

WRONG_SECONDS: Final = (60 * 86_400, -60 * 86_400, 3 * 3600, -3 * 3600, 90, -365 * 86_400, -56 * 365 * 86_400)
"""How wrong a clock is: months ahead and behind, hours, minutes, a year, and about 1970."""

EARLY_SHARE: Final = 0.1
"""How often a bot that is only starting is chosen too; on a slow machine it would never be ready otherwise."""

LONG_SHARE: Final = 0.1
"""How often the ledger is away for longer than the program waits for a lock: half of a week is over then."""

FROZEN_SECONDS: Final = 4
"""Longer than the lease."""


async def lose_bots(night: Night, until: float) -> None:
    """Kill, freeze and stop the bots, one at a time, and start them again."""
    ways: list[Callable[[Night, int], Awaitable[None]]] = [_kill, _freeze, _stop]
    while await _pause(night, until, 3, 9):
        number = night.randomness.randrange(len(night.bots))
        if night.bots[number].is_ready or night.randomness.random() < EARLY_SHARE:
            await night.randomness.choice(ways)(night, number)


async def _kill(night: Night, number: int) -> None:
    await night.bots[number].kill()
    night.happened["bots killed"] += 1
    night.bots[number].start()


async def _freeze(night: Night, number: int) -> None:
    night.bots[number].send(signal.SIGSTOP)
    await anyio.sleep(FROZEN_SECONDS)
    night.bots[number].send(signal.SIGCONT)
    night.happened["bots frozen past their lease"] += 1


async def _stop(night: Night, number: int) -> None:
    await night.bots[number].stop()
    night.happened["bots stopped by SIGTERM"] += 1
    night.bots[number].start()


async def spoil_clocks(night: Night, until: float) -> None:
    """Let a bot's clock be wrong for some seconds, one bot or both."""
    while await _pause(night, until, 1, 6):
        chosen = night.randomness.sample(night.bots, night.randomness.choice([1, 1, len(night.bots)]))
        for bot in chosen:
            bot.clock.offset_seconds = night.clock.offset_seconds + night.randomness.choice(WRONG_SECONDS)
        night.happened["times that a clock was wrong"] += len(chosen)
        await anyio.sleep(night.randomness.uniform(0.5, 4))
        night.correct_clocks()


async def take_ledger_away(night: Night, until: float) -> None:
    """Let the ledger die now and then, mostly for a moment."""
    while await _pause(night, until, 3, 10):
        is_long = night.randomness.random() < LONG_SHARE and anyio.current_time() + OUTAGE_SECONDS[-1] < until
        await night.ledger.die(night.randomness.choice(OUTAGE_SECONDS[-1:] if is_long else OUTAGE_SECONDS[:-1]))
        night.happened["times that the ledger died"] += 1


async def _pause(night: Night, until: float, least_seconds: float, most_seconds: float) -> bool:
    """Wait for a while; return False when the night's time is up."""
    await anyio.sleep(night.randomness.uniform(least_seconds, most_seconds))
    return anyio.current_time() < until
