"""The weekly batch: one slot, one batch, whatever the clock, the machine or the restarts do."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import freezegun
import pytest

from database import Database, audit_log, batches, slots
from desk import CLI, Actor, Desk, Source
from pipeline.errors import DatabaseUnavailableError, NotAllowedError
from pipeline.messages import BatchStatus, SlotStatus
from scheduler import WEEK, WEEKDAYS, Rule, Scheduler
from settings import Settings

FRIDAY = Rule(weekday="friday", hour=15, minute=0)
# A Friday, 15:00 UTC.
SLOT = datetime(2026, 1, 9, 15, tzinfo=UTC)
GRACE = timedelta(hours=24)


class TestClock:
    """A clock that is moved by hand."""

    __test__ = False

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


class Bot:
    """One process: a desk and a scheduler on a ledger. What it hands to the runner is kept."""

    def __init__(self, database: Database, rule: Rule | None = FRIDAY) -> None:
        self.submitted: list[int] = []
        self.told: list[str] = []
        self.desk = Desk(database, Settings(), self._submit)
        self.scheduler = Scheduler(self.desk, database, rule, grace=GRACE, tell=self._tell)

    def _submit(self, number: int) -> int:
        self.submitted.append(number)
        return 0

    async def _tell(self, line: str) -> None:
        self.told.append(line)


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """APScheduler is bound to asyncio."""
    return str(request.param)


@pytest.fixture
def clock() -> TestClock:
    return TestClock(SLOT - timedelta(days=3))


@pytest.fixture
async def database(tmp_path: Path, clock: TestClock) -> AsyncIterator[Database]:
    async with Database(tmp_path / "ledger.db", clock=clock) as opened:
        await opened.create_referral(1001, 1002)
        await opened.log_referral_purchase(1002, "first", 100_000)
        yield opened


async def decided(database: Database) -> list[tuple[datetime, str]]:
    rows = await database.read(slots.latest, limit=1000)
    return [(row.slot_at, row.status) for row in reversed(rows)]


async def earn(database: Database, order_id: str) -> None:
    await database.log_referral_purchase(1002, order_id, 100_000)


@pytest.fixture(params=["Pacific/Kiritimati", "America/St_Johns", "America/New_York", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("weekday", WEEKDAYS)
def test_a_slot_is_the_utc_moment_whatever_the_machines_zone(weekday: str) -> None:
    rule = Rule(weekday=weekday, hour=15, minute=0)
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    for _ in range(104):
        moment = rule.next_slot(moment)
        assert (WEEKDAYS[moment.weekday()], moment.hour, moment.minute) == (weekday, 15, 0)
        assert moment.utcoffset() == timedelta(0)
        assert rule.latest_slot(moment) == moment
        assert rule.latest_slot(moment - timedelta(microseconds=1)) == moment - WEEK
        assert rule.next_slot(moment - timedelta(microseconds=1)) == moment


@pytest.mark.parametrize(
    ("slot_at", "rule"),
    [
        (datetime(2024, 2, 29, 15, tzinfo=UTC), Rule(weekday="thursday", hour=15, minute=0)),
        (datetime(2027, 12, 31, 23, 59, tzinfo=UTC), Rule(weekday="friday", hour=23, minute=59)),
        (datetime(2027, 1, 1, 0, 0, tzinfo=UTC), Rule(weekday="friday", hour=0, minute=0)),
    ],
)
def test_leap_day_and_the_ends_of_years_are_days_like_others(slot_at: datetime, rule: Rule) -> None:
    assert rule.next_slot(slot_at - timedelta(seconds=1)) == slot_at
    assert rule.next_slot(slot_at) == slot_at + WEEK


@pytest.mark.anyio
async def test_a_second_before_there_is_nothing_and_at_the_moment_one_batch(
    database: Database, clock: TestClock
) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment = SLOT - timedelta(seconds=1)
    assert await bot.scheduler.decide_due() == []
    clock.moment = SLOT
    [number] = await bot.scheduler.decide_due()
    report = await database.read(batches.report, number)
    assert (report.status, report.approved_by, report.approved_cents) == (BatchStatus.APPROVED, "schedule", 500)
    clock.moment = SLOT + timedelta(seconds=1)
    await earn(database, "after")
    assert await bot.scheduler.decide_due() == []
    assert bot.submitted == [number]


@pytest.mark.anyio
async def test_a_clock_that_is_set_back_fires_nothing_again(database: Database, clock: TestClock) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment = SLOT
    assert len(await bot.scheduler.decide_due()) == 1
    await earn(database, "more")
    clock.moment = SLOT - timedelta(hours=2)
    assert await bot.scheduler.decide_due() == []
    clock.moment = SLOT + timedelta(minutes=1)
    assert await bot.scheduler.decide_due() == []


@pytest.mark.anyio
async def test_every_friday_of_two_years_has_exactly_one_batch(database: Database, clock: TestClock) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    for week in range(104):
        clock.moment = SLOT + week * WEEK
        await earn(database, f"week {week}")
        await bot.scheduler.decide_due()
        await bot.scheduler.decide_due()
        # The batch before must be out of the way, or its plan would be pending still.
        await database.mark_cashback_paid(1001, (await database.get_pending_cashback_for_user(1001))["pending_cents"])
    assert await decided(database) == [(SLOT + week * WEEK, SlotStatus.BATCHED) for week in range(104)]
    assert len(set(bot.submitted)) == 104


@pytest.mark.anyio
async def test_a_slot_missed_within_the_grace_time_is_caught_up_once(database: Database, clock: TestClock) -> None:
    await Bot(database).scheduler.decide_due()
    clock.moment = SLOT + timedelta(hours=20)
    bot = Bot(database)
    assert len(await bot.scheduler.decide_due()) == 1
    assert await bot.scheduler.decide_due() == []


@pytest.mark.anyio
async def test_a_slot_missed_beyond_the_grace_time_is_recorded_and_said(database: Database, clock: TestClock) -> None:
    await Bot(database).scheduler.decide_due()
    clock.moment = SLOT + timedelta(days=3)
    bot = Bot(database)
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == [(SLOT, SlotStatus.MISSED)]
    assert len(bot.told) == 1
    assert "2026-01-09 15:00" in bot.told[0]
    await bot.scheduler.decide_due()
    assert len(bot.told) == 1


@pytest.mark.anyio
async def test_five_missed_weeks_make_one_batch(database: Database, clock: TestClock) -> None:
    await Bot(database).scheduler.decide_due()
    clock.moment = SLOT + 4 * WEEK + timedelta(hours=1)
    bot = Bot(database)
    assert len(await bot.scheduler.decide_due()) == 1
    missed = [(SLOT + week * WEEK, SlotStatus.MISSED) for week in range(4)]
    assert await decided(database) == [*missed, (SLOT + 4 * WEEK, SlotStatus.BATCHED)]


@pytest.mark.anyio
async def test_a_new_ledger_pays_no_slot_of_its_past(database: Database, clock: TestClock) -> None:
    clock.moment = SLOT + timedelta(minutes=5)
    bot = Bot(database)
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == []


@pytest.mark.anyio
async def test_a_changed_rule_fires_nothing_that_is_past(database: Database, clock: TestClock) -> None:
    await Bot(database).scheduler.decide_due()
    clock.moment = SLOT - timedelta(hours=1)
    changed = Bot(database, Rule(weekday="friday", hour=13, minute=30))
    assert await changed.scheduler.decide_due() == []
    assert await decided(database) == []
    clock.moment = datetime(2026, 1, 16, 13, 30, tzinfo=UTC)
    assert len(await changed.scheduler.decide_due()) == 1


@pytest.mark.anyio
async def test_switched_off_and_on_again_nothing_in_between_is_caught_up(database: Database, clock: TestClock) -> None:
    await Bot(database).scheduler.decide_due()
    await Bot(database, None).scheduler.decide_due()
    clock.moment = SLOT + timedelta(hours=1)
    assert await Bot(database).scheduler.decide_due() == []
    assert await decided(database) == []


@pytest.mark.anyio
async def test_a_slot_with_nothing_pending_leaves_its_row_and_no_batch(database: Database, clock: TestClock) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    await database.mark_cashback_paid(1001, 500)
    clock.moment = SLOT
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == [(SLOT, SlotStatus.NOTHING_PENDING)]
    assert await database.read(batches.history, limit=10) == []


@pytest.mark.anyio
async def test_a_paused_schedule_skips_its_slots_and_says_who_paused_it(database: Database, clock: TestClock) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    assert await bot.desk.pause_schedule(CLI, "holidays")
    assert not await bot.desk.pause_schedule(CLI, "again")
    clock.moment = SLOT
    assert await Bot(database).scheduler.decide_due() == []
    [row] = await database.read(slots.latest, limit=5)
    assert (row.status, row.reason) == (SlotStatus.SKIPPED, "paused by cli: holidays")
    assert await bot.desk.resume_schedule(CLI)
    clock.moment = SLOT + WEEK
    assert len(await bot.scheduler.decide_due()) == 1


@pytest.mark.anyio
async def test_the_next_slot_can_be_skipped_and_only_that_one(database: Database, clock: TestClock) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    assert await bot.desk.skip_slot(CLI, SLOT, "audit week")
    clock.moment = SLOT
    assert await bot.scheduler.decide_due() == []
    clock.moment = SLOT + WEEK
    assert len(await bot.scheduler.decide_due()) == 1
    entries = await database.read(audit_log.entries, limit=20)
    assert any(entry["action"] == "slot_skipped" and entry["actor"] == "cli" for entry in entries)


@pytest.mark.anyio
async def test_who_is_no_admin_neither_pauses_nor_skips(database: Database) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    stranger = Actor(source=Source.DISCORD, user_id=5, role_ids=frozenset({7}))
    with pytest.raises(NotAllowedError):
        await bot.desk.pause_schedule(stranger)
    with pytest.raises(NotAllowedError):
        await bot.desk.skip_slot(stranger, SLOT)
    with pytest.raises(NotAllowedError):
        await bot.desk.resume_schedule(stranger)
    refused = [entry for entry in await database.read(audit_log.entries, limit=20) if entry["action"] == "refused"]
    assert [entry["actor"] for entry in refused] == ["discord:5"] * 3


@pytest.mark.anyio
async def test_two_processes_at_the_same_moment_make_one_batch_20_times_over(
    database: Database, clock: TestClock, tmp_path: Path
) -> None:
    async with Database(tmp_path / "ledger.db", clock=clock) as second:
        bots = [Bot(database), Bot(second)]
        for bot in bots:
            await bot.scheduler.decide_due()
        for week in range(20):
            clock.moment = SLOT + week * WEEK
            await earn(database, f"week {week}")
            async with anyio.create_task_group() as tasks:
                for bot in bots:
                    tasks.start_soon(bot.scheduler.decide_due)
    assert len(await decided(database)) == 20
    assert sorted(bots[0].submitted + bots[1].submitted) == list(range(1, 21))


@pytest.mark.anyio
@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_killed_at_the_commit_of_a_slot_there_is_one_batch_or_none(
    tmp_path: Path, clock: TestClock, moment: str
) -> None:
    armed = False

    def die(at: str) -> None:
        if armed and at == moment:
            message = "died"
            raise SystemError(message)

    path = tmp_path / "ledger.db"
    async with Database(path, clock=clock, failpoint=die) as first:
        await first.create_referral(1001, 1002)
        await earn(first, "one")
        bot = Bot(first)
        await bot.scheduler.decide_due()
        clock.moment = SLOT
        armed = True
        with pytest.raises(SystemError):
            await bot.desk.pay_slot(SLOT)
    async with Database(path, clock=clock) as restarted:
        bot = Bot(restarted)
        await bot.scheduler.decide_due()
        assert await decided(restarted) == [(SLOT, SlotStatus.BATCHED)]
        assert await restarted.read(batches.unfinished) == [1]


@asynccontextmanager
async def running(scheduler: Scheduler) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scheduler.run)
        yield
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_ledger_that_is_locked_at_the_slot_is_said_and_tried_again(
    database: Database, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment = SLOT
    real, failures = bot.desk.pay_slot, [DatabaseUnavailableError("locked")]

    async def pay_slot(slot_at: datetime) -> int | None:
        if failures:
            raise failures.pop()
        return await real(slot_at)

    monkeypatch.setattr(bot.desk, "pay_slot", pay_slot)
    monkeypatch.setattr("scheduler.RETRY_SECONDS", 0.01)
    async with running(bot.scheduler):
        with anyio.fail_after(10):
            while not bot.submitted:
                await anyio.lowlevel.checkpoint()
    assert len(bot.told) == 1
    assert "locked" in bot.told[0]


@pytest.mark.anyio
async def test_apschedulers_bell_rings_on_friday_at_15_utc_under_frozen_time(tmp_path: Path) -> None:
    with freezegun.freeze_time(SLOT - timedelta(seconds=1), real_asyncio=True) as frozen:
        async with Database(tmp_path / "ledger.db") as database:
            await database.create_referral(1001, 1002)
            await earn(database, "one")
            bot = Bot(database)
            async with running(bot.scheduler):
                with anyio.fail_after(10):
                    while await database.read(slots.find_state) is None:
                        await anyio.lowlevel.checkpoint()
                    assert bot.submitted == []
                    frozen.move_to(SLOT)
                    bot.scheduler.look_at_the_clock()
                    while not bot.submitted:
                        await anyio.lowlevel.checkpoint()
            assert await decided(database) == [(SLOT, SlotStatus.BATCHED)]
