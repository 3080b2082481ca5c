"""Years of a living community: weeks with their days, one weekly batch after the other, and their faults."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial
from random import Random
from typing import Final

import anyio

from cashback.domain.calendar import WEEK
from cashback.domain.model import SlotStatus
from cashback.settings import ReferralSettings, RoleIds, Settings
from verification.simulation.actors import Actors
from verification.simulation.environment import Environment
from verification.simulation.ledger_model import PPM
from verification.simulation.quiescence import calm_down
from verification.simulation.randomness import FaultRates
from verification.simulation.run_world import run_world
from verification.simulation.world import ADMIN_ROLE, START, World

ODDS: Final = FaultRates(
    locked=0.002,
    disk_full=0.001,
    broken_at_commit=0.001,
    answer_of_commit_lost=0.001,
    death_at_commit=0.004,
    death_at_a_step=0.01,
    closed_door=0.05,
    refused_for_now=0.01,
    answer_of_message_lost=0.005,
)
SETTINGS: Final = Settings(
    role_ids=RoleIds(admin=ADMIN_ROLE),
    referral_settings=ReferralSettings(holding_days=3, dm_per_second=50.0, dm_retry_attempts=1, chunk_size=7),
)
DOWN_CHANCE: Final = 0.08
ADMIN_CHANCE: Final = 0.05
PAUSE_CHANCE: Final = 0.02
RESUME_CHANCE: Final = 0.1
LATE_SECONDS: Final = (0, 0, 0, 1, 90, 3_600, 80_000)
FOUNDERS: Final = 3
DAYS: Final = 4
DAY_SECONDS: Final = 20.0
FRIDAY_SECONDS: Final = 30.0
WEEKS_BETWEEN_INSPECTIONS: Final = 26
STORY_LINES: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All referrals at the end: cents as the rows have them, and the exact earnings by the model."""

    earned_millionths: int
    paid: int
    paid_elsewhere: int
    pending: int
    held: int
    owed: int
    carried_millionths: int

    @property
    def lost(self) -> int:
        """Return the difference in cents between the rows and the earnings."""
        accounted = self.paid + self.pending + self.held - self.owed
        return abs(self.earned_millionths - accounted * PPM - self.carried_millionths) // PPM


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The result of the years. `violation` is None if every promise was kept; `story` is how it ended."""

    years: dict[int, Counter[str]]
    slots: dict[int, Counter[SlotStatus]]
    account: Account
    referrals: int
    payouts: int
    lives: int
    messages: int
    fridays_down: int
    audit_head: str | None
    violation: str | None
    story: tuple[str, ...]


class _Course:
    """The weeks of one community."""

    def __init__(self, weeks: int, advance: Callable[[int], None]) -> None:
        self._weeks = weeks
        self._advance = advance
        self.fridays_down = 0

    async def run(self, world: World) -> None:
        """Run all of them, then let the program come to rest."""
        async with anyio.create_task_group() as crowd:
            actors = Actors(world, crowd, referrers=FOUNDERS, grows=True)
            for number in range(self._weeks):
                await self._week(world, actors, START + number * WEEK)
                if number % WEEKS_BETWEEN_INSPECTIONS == 0:
                    world.inspect()
                self._advance(1)
            await calm_down(world, actors)

    async def _week(self, world: World, actors: Actors, monday: datetime) -> None:
        """Let people act from Monday to Thursday; then comes Friday, and the program is up, late, or down."""
        chance = world.chance
        async with anyio.create_task_group() as computers:
            computers.start_soon(partial(world.keep_alive, 0, fault_rates=world.fault_rates), name="computer 0")
            for day in range(DAYS):
                world.clock.move_to(monday + timedelta(days=day, seconds=chance.randrange(80_000)))
                for _ in range(chance.randint(0, 2)):
                    actors.at(chance.uniform(0, DAY_SECONDS), actors.member())
                if chance.random() < ADMIN_CHANCE:
                    actors.at(chance.uniform(0, DAY_SECONDS), actors.pay)
                if chance.random() < PAUSE_CHANCE:
                    actors.at(chance.uniform(0, DAY_SECONDS), actors.touch_schedule)
                if world.model.paused and chance.random() < RESUME_CHANCE:
                    actors.at(chance.uniform(0, DAY_SECONDS), actors.resume_schedule)
                await anyio.sleep(DAY_SECONDS)
            if chance.random() < DOWN_CHANCE:
                self.fridays_down += 1
            else:
                late = timedelta(seconds=chance.choice(LATE_SECONDS))
                world.clock.move_to(world.rule.next_slot(monday) + late)
                actors.at(0, actors.ring)
                await anyio.sleep(FRIDAY_SECONDS)
            await world.end_lives(gently=chance.random() < 0.9)  # noqa: PLR2004 -- one in ten is a power cut
            computers.cancel_scope.cancel()


def live_years(weeks: int, seed: int, advance: Callable[[int], None] = lambda _weeks: None) -> History:
    """Run a community for so many weeks. The same seed gives the same history; `advance` is called for each week."""
    chance, course = Random(seed), _Course(weeks, advance)  # noqa: S311 -- the seed is the point
    with Environment() as environment:

        def make() -> World:
            return World(
                environment.computers(), chance, SETTINGS, ODDS, look_after_each_life=False, story_lines=STORY_LINES
            )

        world, violation = run_world(chance, make, course.run)
    return _history(world, course.fridays_down, violation)


def _history(world: World, fridays_down: int, violation: str | None) -> History:
    slots: dict[int, Counter[SlotStatus]] = {}
    for slot_at, (status, _) in sorted(world.model.slots.items()):
        slots.setdefault(slot_at.year, Counter())[status] += 1
    for year in world.seen.years.keys() - slots.keys():
        slots[year] = Counter()
    return History(
        years=world.seen.years,
        slots=slots,
        account=_account(world),
        referrals=len(world.model.referrals),
        payouts=sum(number is not None for number, *_ in world.model.moves),
        lives=world.seen.lives,
        messages=sum(map(len, world.discord.seen.values())),
        fridays_down=fridays_down,
        audit_head=world.end.audit_head,
        violation=violation,
        story=tuple(world.story()),
    )


def _account(world: World) -> Account:
    """Add up all referrals, blacklisted referrers included: paid and carried from the rows, the rest from the model."""
    now, everyone = world.end.at, world.model.referrals
    open_cents = [one.pending(now) for one in everyone]
    return Account(
        earned_millionths=int(sum((one.exact for one in everyone), Fraction()) * PPM),
        paid=world.end.paid_cents,
        paid_elsewhere=world.end.paid_elsewhere_cents,
        pending=sum(max(cents, 0) for cents in open_cents),
        held=sum(one.earned - one.paid - cents for one, cents in zip(everyone, open_cents, strict=True)),
        owed=sum(max(-cents, 0) for cents in open_cents),
        carried_millionths=world.end.carried_millionths,
    )
