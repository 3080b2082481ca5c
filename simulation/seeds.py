"""One seed is one world: some scenes with faults and people, then calm, in which everything must come to its end."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final

import anyio
from trio.abc import Instrument
from trio.lowlevel import Task

from pipeline.messages import BatchSummary
from settings import ReferralSettings, RoleIds, Settings
from simulation.chance import CALM, Odds, run_by
from simulation.laboratory import Laboratory
from simulation.life import Life
from simulation.people import FIRST_ADMIN, FIRST_REFERRER, People
from simulation.world import ADMIN_ROLE, ViolationError, World

SCENE_SECONDS: Final = (20.0, 60.0, 250.0)
LOOKS: Final = 200
LOOK_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a seed came to. `violation` is None where every promise was kept."""

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


class _Steps(Instrument):
    """Tells the world of each step of a task, so that a process can die at any of them."""

    world: World | None = None

    def before_task_step(self, task: Task) -> None:
        """Count."""
        if self.world is not None:
            self.world.count_step()


def run_seed(seed: int, laboratory: Laboratory, *, watch_closely: bool = False) -> Outcome:
    """Let a world live and tell what it came to. The same seed is the same world, to the byte."""
    chance, steps = Random(seed), _Steps()  # noqa: S311 -- the seed is the point

    async def main() -> Outcome:
        world = World(
            laboratory.computers(), chance, _settings(chance), Odds.drawn(chance), watch_closely=watch_closely
        )
        steps.world = world
        violation = None
        try:
            await _live(world)
        except* ViolationError as group:
            violation = str(_first(group))
        finally:
            steps.world = None
            world.close()
        return _outcome(seed, world, violation)

    return run_by(chance, main, steps)


def _first(group: BaseExceptionGroup[ViolationError]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _outcome(seed: int, world: World, violation: str | None) -> Outcome:
    return Outcome(
        seed=seed,
        violation=violation,
        story=tuple(world.story),
        lives=world.seen.lives,
        deaths=world.seen.deaths,
        commits=world.seen.commits,
        batches=len(world.books.batches),
        credited_cents=sum(cents for _, _, cents, _ in world.books.moves),
        messages=sum(map(len, world.post.seen.values())),
        repeated_messages=world.post.repeats,
    )


def _settings(chance: Random) -> Settings:
    referral = ReferralSettings(
        chunk_size=chance.choice((1, 2, 3, 500)),
        retry_attempts=chance.choice((0, 2)),
        dm_per_second=chance.choice((0.2, 1.0, 50.0)),
        min_payout_cents=chance.choice((1, 1, 50)),
        holding_days=chance.choice((0, 0, 1, 14)),
        leaver_policy=chance.choice(("pay", "hold")),
        misfire_grace_hours=chance.choice((0, 24, 24)),
    )
    return Settings(role_ids=RoleIds(admin=ADMIN_ROLE), referral_settings=referral)


async def _live(world: World) -> None:
    """Live through some scenes, then through the calm."""
    async with anyio.create_task_group() as crowd:
        people = People(world, crowd, referrers=world.chance.randint(3, 7))
        await _prepare(world, people)
        for _ in range(world.chance.randint(2, 3)):
            await _scene(world, people)
        await _calm(world, people)


async def _prepare(world: World, people: People) -> None:
    """Found the community. Now and then one member wants no messages, and one wallet refuses to be written."""
    async with world.calm_ledger() as ledger:
        await people.found(ledger)
    if world.chance.random() < 0.3:  # noqa: PLR2004 -- three in ten
        world.execute("INSERT INTO notification_preferences (user_id, payout_dm) VALUES (?, 0)", FIRST_REFERRER)
    if world.chance.random() < 0.2:  # noqa: PLR2004 -- two in ten
        world.books.broken_wallet = FIRST_REFERRER + 1
        world.execute(
            "CREATE TRIGGER broken_wallet BEFORE UPDATE OF wallet_balance_cents ON users"
            f" WHEN OLD.discord_id = {FIRST_REFERRER + 1} BEGIN SELECT RAISE(ABORT, 'this wallet is broken'); END"
        )


async def _scene(world: World, people: People) -> None:
    """Let a piece of time pass in which anything may happen."""
    chance = world.chance
    seconds = chance.choice(SCENE_SECONDS)
    if chance.random() < 0.7:  # noqa: PLR2004 -- most happens around a slot
        before = chance.uniform(-40 * 3_600, 0) if chance.random() < 0.2 else chance.uniform(0, seconds)  # noqa: PLR2004
        world.clock.move_to(world.rule.next_slot(world.clock()) - timedelta(seconds=before))
    else:
        world.clock.move_to(world.clock() + timedelta(seconds=chance.uniform(0, 10 * 86_400)))
    world.tell(f"scene of {seconds:g} s")
    async with anyio.create_task_group() as computers:
        computers.start_soon(_run_computer, world, 0, name="computer 0")
        if world.odds.overlap:
            computers.start_soon(_run_computer, world, 1, name="computer 1")
        for _ in range(chance.randint(5, 10)):
            people.at(chance.uniform(0, seconds), people.anybody())
        await anyio.sleep(seconds)
        if chance.random() < 0.5:  # noqa: PLR2004 -- half of the scenes end with a stop, the others with a power cut
            await _stop(world)
        for life in world.lives:
            life.fate.die("as the power fails")
        computers.cancel_scope.cancel()


async def _run_computer(world: World, computer: int) -> None:
    await world.keep_alive(computer, odds=world.odds)


async def _stop(world: World) -> None:
    for life in list(world.lives):
        life.stop()
    await anyio.sleep(1)


async def _calm(world: World, people: People) -> None:
    """Nothing goes wrong any more: what was begun comes to its end, and one last batch pays all that is pending."""
    world.tell("calm")
    held = timedelta(days=world.settings.referral_settings.holding_days)
    world.clock.move_to(world.clock.latest + held + timedelta(hours=1))
    async with anyio.create_task_group() as computers:
        computers.start_soon(_calm_computer, world)
        await _wait(world, lambda: not people.busy and _is_quiet(world))
        await _pay_the_rest(world)
        await _wait(world, lambda: _is_quiet(world))
        await world.inspect_end()
        computers.cancel_scope.cancel()


async def _calm_computer(world: World) -> None:
    await world.keep_alive(0, odds=CALM)


async def _wait(world: World, done: Callable[[], bool]) -> None:
    """Wait until something is so; not for ever, for then the inspection says what is stuck."""
    for _ in range(LOOKS):
        if done():
            return
        await anyio.sleep(LOOK_SECONDS)
    world.tell("nobody waits any longer")


def _is_quiet(world: World) -> bool:
    return not world.books.open_batches() and not world.queued()


async def _pay_the_rest(world: World) -> None:
    issuer = world.admin(FIRST_ADMIN)

    async def propose(life: Life) -> BatchSummary:
        return await life.desk.propose(issuer)

    summary = await world.insist("the last batch is proposed", propose)
    if summary is not None:
        world.books.entitled.add((str(issuer), summary.batch_number))

        async def approve(life: Life) -> object:
            return await life.desk.approve(issuer, summary.batch_number)

        await world.insist("the last batch is approved", approve)
