"""`simulate`: years of a living community on a virtual clock, paid by the real ledger, pipeline and schedule.

Chance is one seeded source and time is a number that is moved, so the same seed prints the same bytes. Members join,
buy and are barred; the process is down over some Fridays; and it dies just before or just after a commit, at any step.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio

from console.output import progress, say
from database import Database, batches, blacklist, purchases, reconciliation, referrals, slots
from database.reconciliation import Verdict
from desk import Desk
from pipeline.calendar import WEEK, Rule
from pipeline.messages import Delivery, DeliveryStatus, PayoutNotice, RunBatch, SlotRecord, SlotStatus
from pipeline.money import dollars
from pipeline.ports import Silence
from scheduler import Scheduler
from settings import Settings
from stages import Bell, make_pipeline
from stages.notification import Postman

T = TypeVar("T")

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
RULE: Final = Rule(weekday="friday", hour=15, minute=0)
FIRST_MEMBER: Final = 10**17
CRASH_CHANCE: Final = 0.01
DOWN_CHANCE: Final = 0.08
BAR_CHANCE: Final = 0.02
CLOSED_CHANCE: Final = 0.05
RATES_PPM: Final = (5_000, 5_000, 12_345, 333)
PPM: Final = 1_000_000
CHUNK_SIZE: Final = 7
NO_PACE: Final = 1e9
"""Direct messages a second: so many that nobody waits."""


class _CrashError(BaseException):
    """The process dies here. No outcome, no rollback by us: whoever catches it opens the file anew."""


@dataclass(slots=True)
class Tally:
    """What has happened so far, and the model: who brought whom, who is barred, what each referral earned exactly."""

    members: int = 0
    purchases: int = 0
    crashes: int = 0
    weeks_down: int = 0
    messages: int = 0
    referrer_of: dict[int, int] = field(default_factory=dict)
    barred: set[int] = field(default_factory=set)
    earned: dict[int, Fraction] = field(default_factory=dict)


class _Letters:
    """A messenger whose members sometimes have closed their direct messages."""

    def __init__(self, chance: random.Random, tally: Tally) -> None:
        self._chance = chance
        self._tally = tally

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Deliver, or find the member's door closed."""
        self._tally.messages += 1
        closed = self._chance.random() < CLOSED_CHANCE
        status = DeliveryStatus.UNDELIVERABLE if closed else DeliveryStatus.SENT
        return Delivery(status=status, dm_channel_id=notice.user_id)


class World:
    """One community on one file. `step` runs a piece of the program and survives its crashes by starting it again."""

    def __init__(self, path: Path, seed: int) -> None:
        """Start empty on a Monday."""
        self._path = path
        self._chance = random.Random(seed)  # noqa: S311 -- the seed is the point
        self._moment = START
        self._database = self._new_process()
        self.tally = Tally()

    def _new_process(self) -> Database:
        return Database(self._path, clock=lambda: self._moment, inline=True, failpoint=self._perhaps_die)

    def _perhaps_die(self, _moment: str) -> None:
        if self._chance.random() < CRASH_CHANCE:
            raise _CrashError

    async def close(self) -> None:
        """End the last process."""
        await self._database.close()

    async def step(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do a piece of work until it returns; after each crash in a new process on the same file."""
        while True:
            try:
                await self._database.connect()
                return await work(self._database)
            except BaseException as error:
                if not _is_crash(error):
                    raise
                self.tally.crashes += 1
                await self._database.close()
                self._database = self._new_process()

    async def week(self, number: int) -> None:
        """Live a week: people join, buy and are barred; then comes Friday, and the bot is up, late, or down."""
        monday = START + number * WEEK
        for day in range(4):
            self._moment = monday + timedelta(days=day, seconds=self._chance.randrange(86_400))
            await self._join()
            await self._buy(f"{number}-{day}")
            await self._bar_or_forgive()
        if self._chance.random() < DOWN_CHANCE:
            self.tally.weeks_down += 1
            return
        self._moment = RULE.next_slot(monday) + timedelta(seconds=self._chance.choice((0, 0, 1, 90, 3_600, 80_000)))
        for _ in range(self._chance.randint(1, 3)):
            await self.step(self.friday)

    async def _join(self) -> None:
        for _ in range(self._chance.randint(0, 2)):
            self.tally.members += 1
            newcomer = FIRST_MEMBER + self.tally.members
            referrer = FIRST_MEMBER + self._chance.randrange(self.tally.members)
            self.tally.referrer_of[newcomer] = referrer
            await self._write(partial(referrals.create_referrals, pairs=[(referrer, newcomer)], now=self._moment))

    async def _buy(self, name: str) -> None:
        for index in range(self._chance.randint(0, 4) if self.tally.members else 0):
            buyer = FIRST_MEMBER + self._chance.randint(1, self.tally.members)
            rate_ppm, cents = self._chance.choice(RATES_PPM), self._chance.randint(1, 50_000)
            purchase = purchases.Purchase(order_id=f"{name}-{index}", buyer_id=buyer, amount_cents=cents)
            await self._write(
                partial(purchases.record_purchases, purchases=[purchase], rate_ppm=rate_ppm, now=self._moment)
            )
            self.tally.purchases += 1
            if self.tally.referrer_of[buyer] not in self.tally.barred:
                self.tally.earned[buyer] = self.tally.earned.get(buyer, Fraction()) + Fraction(cents * rate_ppm, PPM)

    async def _bar_or_forgive(self) -> None:
        if self._chance.random() >= BAR_CHANCE:
            return
        member = FIRST_MEMBER + self._chance.randint(0, self.tally.members)
        if member in self.tally.barred:
            self.tally.barred.remove(member)
            await self._write(partial(blacklist.unblacklist, user_id=member, actor="simulation", now=self._moment))
        else:
            self.tally.barred.add(member)
            await self._write(
                partial(blacklist.blacklist, user_id=member, reason="drawn", actor="simulation", now=self._moment)
            )

    async def _write(self, function: Callable[..., object]) -> None:
        """Do one write of the ledger to its end, whatever crashes come between."""

        async def work(database: Database) -> None:
            await database.write(function)

        await self.step(work)

    async def friday(self, database: Database) -> None:
        """Start the program: go on with what a crash left, ring the bell, pay, deliver."""
        desk = Desk(database, Settings(), lambda _number: 0)
        await Scheduler(desk, database, tell=_say_nothing, wake=lambda: None).decide_due()
        for number in await database.read(batches.unfinished):
            request = RunBatch(batch_number=number)
            await make_pipeline(request, database=database, observer=Silence(), bell=Bell(), chunk_size=CHUNK_SIZE).run(
                request
            )
        letters = _Letters(self._chance, self.tally)
        await Postman(database, letters, Bell(), per_second=NO_PACE, retry_attempts=0).deliver_due()

    async def lost_cents(self) -> int:
        """Sum up how far the referrals' earnings, paid and pending, are from the exact model."""
        earned: dict[int, int] = {}
        for referrer in sorted(set(self.tally.referrer_of.values())):
            for row in await self._database.get_referrals(referrer):
                earned[row["referred_user_id"]] = row["cashback_earned_cents"]
        return sum(abs(earned[referred] - int(exact)) for referred, exact in self.tally.earned.items())


def _is_crash(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(_CrashError)[1] is None
    return isinstance(error, _CrashError)


async def _say_nothing(_line: str) -> None:
    """Tell nobody: there is no audit channel."""


def simulate(*, weeks: int, seed: int) -> int:
    """Run the years, print the table and the books; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        return anyio.run(_simulate, Path(folder) / "ledger.db", weeks, seed)


async def _simulate(path: Path, weeks: int, seed: int) -> int:
    world = World(path, seed)
    # The schedule is in force before the first Friday.
    await world.step(world.friday)
    with progress("Weeks", weeks) as advance:
        for number in range(weeks):
            await world.week(number)
            advance(1)
    await world.step(world.friday)
    decided = await world.step(lambda database: database.read(slots.latest, limit=weeks + 1))
    verdict = await world.step(lambda database: database.read(reconciliation.verify))
    lost = await world.lost_cents()
    await world.close()
    return _say_books(world.tally, decided, verdict, lost)


def _say_books(tally: Tally, decided: list[SlotRecord], verdict: Verdict, lost: int) -> int:
    by_year: dict[int, Counter[str]] = {}
    for slot in reversed(decided):
        by_year.setdefault(slot.slot_at.year, Counter())[slot.status] += 1
    say("year   Fridays   batches   nothing pending   missed")
    for year, counts in by_year.items():
        paid, empty, missed = (counts[s] for s in (SlotStatus.BATCHED, SlotStatus.NOTHING_PENDING, SlotStatus.MISSED))
        say(f"{year}   {counts.total():7}   {paid:7}   {empty:15}   {missed:6}")
    first, last = decided[-1].slot_at, decided[0].slot_at
    complete = len(decided) == (last - first) // WEEK + 1
    say(
        "",
        f"{tally.members} members joined, {tally.purchases} purchases, {len(tally.barred)} barred at the end,",
        f"{tally.weeks_down} Fridays down, {tally.crashes} crashes, {tally.messages} direct messages sent.",
        f"Every Friday has its row: {'yes' if complete else 'NO'}.",
        f"Paid: {dollars(verdict.credited_cents)} in {verdict.payouts_checked} payouts.",
        f"Cents lost or made: {lost}.",
        f"The books balance: {'yes' if verdict.balanced else 'NO'}.",
        *verdict.breaches,
        f"Audit head: {verdict.audit_head}",
    )
    return 0 if complete and verdict.balanced and not lost else 1
