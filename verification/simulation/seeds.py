"""One seed is one world: some scenes with faults and people, then quiescence, in which all work must end."""

from dataclasses import dataclass
from random import Random

import anyio

from cashback.settings import ReferralSettings, RoleIds, Settings, WithdrawalSettings
from verification.simulation.actors import Actors
from verification.simulation.environment import Environment
from verification.simulation.quiescence import calm_down
from verification.simulation.randomness import FaultRates
from verification.simulation.run_world import run_world
from verification.simulation.wallet_actors import METHOD
from verification.simulation.workload import back_up_or_restore, play_scene, prepare
from verification.simulation.world import ADMIN_ROLE, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a seed. `violation` is None if every promise was kept."""

    seed: int
    violation: str | None
    story: tuple[str, ...]
    lives: int
    deaths: int
    commits: int
    batches: int
    credited_cents: int
    messages: int
    repeated_messages: int


def run_seed(seed: int, environment: Environment, *, watch_closely: bool = False) -> Outcome:
    """Run a world and return its result. The same seed gives the same world, to the byte."""
    chance = Random(seed)  # noqa: S311 -- the seed is the point

    def make() -> World:
        settings, fault_rates = _settings(chance), FaultRates.drawn(chance)
        return World(environment.computers(), chance, settings, fault_rates, watch_closely=watch_closely)

    world, violation = run_world(chance, make, _live)
    return _outcome(seed, world, violation)


def _outcome(seed: int, world: World, violation: str | None) -> Outcome:
    return Outcome(
        seed=seed,
        violation=violation,
        story=tuple(world.story()),
        lives=world.seen.lives,
        deaths=world.seen.deaths,
        commits=world.seen.commits,
        batches=len(world.model.batches),
        credited_cents=sum(cents for number, _, cents, _ in world.model.moves if number is not None),
        messages=sum(map(len, world.discord.seen.values())),
        repeated_messages=world.discord.repeats,
    )


def _settings(chance: Random) -> Settings:
    referral = ReferralSettings(
        chunk_size=chance.choice((1, 2, 3, 500)),
        dm_retry_attempts=chance.choice((0, 2)),
        dm_per_second=chance.choice((0.2, 1.0, 50.0)),
        min_payout_cents=chance.choice((1, 1, 50)),
        approval_valid_days=chance.choice((1, 3, 14)),
        approval_threshold_cents=chance.choice((None, None, 1_000)),
        payout_retry_attempts=chance.choice((0, 1)),
        holding_days=chance.choice((0, 0, 1, 14)),
        leaver_policy=chance.choice(("pay", "hold")),
        misfire_grace_hours=chance.choice((0, 24, 24)),
    )
    withdrawals = WithdrawalSettings(
        enabled=True,
        methods={METHOD: None},
        minimum_cents=chance.choice((1, 100)),
        maximum_cents=chance.choice((None, 1_000)),
    )
    return Settings(role_ids=RoleIds(admin=ADMIN_ROLE), referral_settings=referral, withdrawals=withdrawals)


async def _live(world: World) -> None:
    """Run some scenes, then quiescence."""
    async with anyio.create_task_group() as crowd:
        actors = Actors(world, crowd, referrers=world.chance.randint(3, 7))
        await prepare(world, actors)
        for _ in range(world.chance.randint(2, 4)):
            await play_scene(world, actors)
            back_up_or_restore(world)
        await calm_down(world, actors)
