"""The weekly batch: one slot, one batch, whatever the clock, the machine or the restarts do."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from cashback.database import Database, audit_log
from cashback.database.payouts import batches
from cashback.database.schedule import schedule, slots
from cashback.domain.calendar import WEEK, WEEKDAYS, Rule
from cashback.domain.errors import (
    BusyError,
    CashbackError,
    DatabaseUnavailableError,
    NotAllowedError,
    StaleBatchError,
)
from cashback.domain.model import BatchStatus, SlotStatus
from cashback.services import CLI, Actor, AdminService, Source
from cashback.settings import ReferralSettings, Settings, SettingsError
from scheduler import Scheduler
from tests.frozen import FrozenTime

# A Friday, 15:00 UTC.
SLOT = datetime(2026, 1, 9, 15, tzinfo=UTC)
FRIDAYS = ReferralSettings()


class TestClock:
    """A clock that is moved by hand."""

    __test__ = False

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


class Bot:
    """One process: a service and a scheduler on a ledger. What it hands to the runner is kept."""

    def __init__(self, database: Database, configured: ReferralSettings = FRIDAYS) -> None:
        self.submitted: list[int] = []
        self.told: list[str] = []
        self.full = False
        self.configured = configured
        self.service = AdminService(database, Settings(referral_settings=configured), self._submit, reread=self.reread)
        self.scheduler = Scheduler(self.service, database, post_line=self._post_line, wake=lambda: None)

    def reread(self) -> Settings:
        """Read the configuration as it is now."""
        return Settings(referral_settings=self.configured)

    def _submit(self, number: int) -> int:
        if self.full:
            raise BusyError
        self.submitted.append(number)
        return 0

    async def _post_line(self, line: str) -> None:
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
@pytest.mark.parametrize("days_ahead", [10, 59, 60, 61, 400])
async def test_clock_that_was_ahead_for_a_moment_leaves_every_friday_payable(
    database: Database, clock: TestClock, days_ahead: int
) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment += timedelta(days=days_ahead)
    await bot.scheduler.decide_due()
    clock.moment -= timedelta(days=days_ahead)
    await bot.scheduler.decide_due()
    await database.mark_cashback_paid(1001, (await database.get_pending_cashback_for_user(1001))["pending_cents"])
    for week in range(10):
        clock.moment = SLOT + week * WEEK
        await earn(database, f"week {week}")
        assert len(await bot.scheduler.decide_due()) == 1, week
        await database.mark_cashback_paid(1001, (await database.get_pending_cashback_for_user(1001))["pending_cents"])
    assert await decided(database) == [(SLOT + week * WEEK, SlotStatus.BATCHED) for week in range(10)]
    assert len([line for line in bot.told if "clock was wrong" in line]) == 1


@pytest.mark.anyio
async def test_missed_slot_is_decided_again_when_the_clock_is_set_back_after_a_later_slot_was_paid(
    database: Database, clock: TestClock
) -> None:
    """A world of the simulation found it: the correction voided the missed slot, and no check looked at it again."""
    await Bot(database).scheduler.decide_due()
    clock.moment = SLOT + WEEK + timedelta(hours=2)
    bot = Bot(database)
    assert len(await bot.scheduler.decide_due()) == 1
    clock.moment -= timedelta(hours=1)
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == [(SLOT, SlotStatus.MISSED), (SLOT + WEEK, SlotStatus.BATCHED)]
    assert [line.partition("UTC is ")[2] for line in bot.told] == ["void and is decided again."]


@pytest.mark.anyio
async def test_slot_that_came_again_while_no_bot_ran_is_missed_although_a_later_one_was_paid_ahead(
    database: Database, clock: TestClock
) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    await database.mark_cashback_paid(1001, 500)
    for clock.moment in (SLOT, SLOT + WEEK):
        await bot.scheduler.decide_due()
        await earn(database, f"after {clock.moment}")
    clock.moment = SLOT - timedelta(hours=1)
    await bot.scheduler.decide_due()
    assert await decided(database) == [(SLOT + WEEK, SlotStatus.BATCHED)]
    clock.moment = SLOT + WEEK + timedelta(hours=1)
    await Bot(database).scheduler.decide_due()
    assert await decided(database) == [(SLOT, SlotStatus.MISSED), (SLOT + WEEK, SlotStatus.BATCHED)]


@pytest.mark.anyio
async def test_schedule_that_began_a_year_ahead_counts_from_the_correction(
    database: Database, clock: TestClock
) -> None:
    clock.moment += timedelta(days=365)
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment -= timedelta(days=365)
    await bot.scheduler.decide_due()
    assert [line for line in bot.told if "the schedule counts from now" in line] == bot.told
    clock.moment = SLOT
    assert len(await bot.scheduler.decide_due()) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("year", [1970, 2000, 2016])
async def test_first_start_years_behind_leaves_few_rows(database: Database, clock: TestClock, year: int) -> None:
    right = clock.moment
    clock.moment = right.replace(year=year)
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment = right
    await bot.scheduler.decide_due()
    assert len(await decided(database)) <= 30
    assert len(await database.read(slots.without_batch, since=right - timedelta(days=7), limit=1000)) <= 12
    assert len(bot.told) <= 1
    clock.moment = SLOT
    assert len(await bot.scheduler.decide_due()) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("days_behind", [8, 60, 3_650, 16_000])
@pytest.mark.parametrize("is_known_at_the_start", [True, False])
async def test_schedule_that_began_under_a_clock_that_was_behind_misses_and_pays_nothing_of_its_past(
    database: Database, clock: TestClock, days_behind: int, *, is_known_at_the_start: bool
) -> None:
    """The bot starts for the first time two hours after a slot, which is within the grace time."""
    right = clock.moment = SLOT + timedelta(hours=2)
    bot = Bot(database)
    clock.moment -= timedelta(days=days_behind)
    if is_known_at_the_start:
        bot.service.clock_check.compare(right, asked_at=clock.moment)
    assert await bot.scheduler.decide_due() == []
    bot.service.clock_check.compare(right, asked_at=clock.moment)
    assert await bot.scheduler.decide_due() == []
    clock.moment = right
    bot.service.clock_check.compare(right, asked_at=right)
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == []
    assert len(bot.told) == (0 if is_known_at_the_start else 1)
    clock.moment = SLOT + WEEK
    bot.service.clock_check.compare(clock.moment, asked_at=clock.moment)
    assert len(await bot.scheduler.decide_due()) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("days", [-60, 60])
async def test_rule_changed_under_a_wrong_clock_counts_from_the_right_time(
    database: Database, clock: TestClock, days: int
) -> None:
    """On Friday evening, when this week's batch is paid, the batch moves to an hour later, which has passed too."""
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment = SLOT
    assert len(await bot.scheduler.decide_due()) == 1
    await earn(database, "later")
    right = SLOT + timedelta(hours=3)
    bot.configured = ReferralSettings(batch_hour_utc=16)
    clock.moment = right + timedelta(days=days)
    bot.service.clock_check.compare(right, asked_at=clock.moment)
    await bot.service.reload_schedule(CLI)
    assert await bot.scheduler.decide_due() == []
    clock.moment = right
    bot.service.clock_check.compare(right, asked_at=right)
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == [(SLOT, SlotStatus.BATCHED)]
    assert bot.told == []


@pytest.mark.anyio
@pytest.mark.parametrize("days", [-60, 60, 26_000])
async def test_next_slot_is_that_of_discords_time_when_it_is_skipped_under_a_wrong_clock(
    database: Database, clock: TestClock, days: int
) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    right = clock.moment
    clock.moment = right + timedelta(days=days)
    bot.service.clock_check.compare(right, asked_at=clock.moment)
    assert await bot.service.skip_next(CLI) == SLOT
    assert await bot.service.unskip_next(CLI) == SLOT


@pytest.mark.anyio
async def test_slot_that_is_to_come_is_never_missed(database: Database) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    assert not await bot.service.miss_slot(SLOT, "by mistake")
    assert await decided(database) == []


@pytest.mark.anyio
async def test_doubted_clock_misses_and_pays_nothing_and_a_small_difference_pays(
    database: Database, clock: TestClock
) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    bot.service.clock_check.compare(clock.moment, asked_at=clock.moment)
    clock.moment += timedelta(days=60)
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == []
    clock.moment = SLOT + timedelta(minutes=5)
    assert await bot.scheduler.decide_due() == []
    bot.service.clock_check.compare(SLOT, asked_at=clock.moment)
    assert bot.service.clock_check.is_doubted
    assert len(await bot.scheduler.decide_due()) == 1


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
    [record] = await database.read(slots.without_batch, since=clock.moment, limit=10)
    assert record.reason == "nothing was paid then, nor within the grace time of 24 h"
    await bot.scheduler.decide_due()
    assert len(await database.read(audit_log.entries, limit=100)) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("late", [timedelta(milliseconds=3), timedelta(seconds=59), timedelta(minutes=1)])
async def test_slot_at_most_a_minute_late_is_paid_without_a_grace_time(
    database: Database, clock: TestClock, late: timedelta
) -> None:
    bot = Bot(database, ReferralSettings(misfire_grace_hours=0))
    await bot.scheduler.decide_due()
    clock.moment = SLOT + late
    assert len(await bot.scheduler.decide_due()) == 1


@pytest.mark.anyio
async def test_slot_more_than_a_minute_late_is_missed_without_a_grace_time(
    database: Database, clock: TestClock
) -> None:
    bot = Bot(database, ReferralSettings(misfire_grace_hours=0))
    await bot.scheduler.decide_due()
    clock.moment = SLOT + timedelta(minutes=1, milliseconds=1)
    assert await bot.scheduler.decide_due() == []
    [record] = await database.read(slots.without_batch, since=clock.moment, limit=10)
    assert record.reason == "nothing was paid then, nor within the grace time of a minute"


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
    changed = Bot(database, ReferralSettings(batch_hour_utc=13, batch_minute_utc=30))
    assert await changed.scheduler.decide_due() == []
    assert await decided(database) == []
    clock.moment = datetime(2026, 1, 16, 13, 30, tzinfo=UTC)
    assert len(await changed.scheduler.decide_due()) == 1


@pytest.mark.anyio
async def test_a_reload_reaches_a_process_that_runs_and_fires_nothing_that_is_past(
    database: Database, clock: TestClock
) -> None:
    bot, other = Bot(database), Bot(database)
    await bot.scheduler.decide_due()
    clock.moment = SLOT - timedelta(hours=1)
    other.configured = ReferralSettings(batch_hour_utc=13, misfire_grace_hours=1)
    await other.service.reload_schedule(CLI)
    assert await bot.scheduler.decide_due() == []
    clock.moment = SLOT
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == []
    clock.moment = datetime(2026, 1, 16, 13, 0, tzinfo=UTC)
    assert len(await bot.scheduler.decide_due()) == 1
    entries = await database.read(audit_log.entries, limit=50)
    [changed, _] = [entry for entry in entries if entry["action"] == "schedule_changed"]
    assert (changed["actor"], changed["details"]["rule"], changed["details"]["before"]) == (
        "cli",
        "friday 13:00",
        "friday 15:00",
    )


@pytest.mark.anyio
async def test_a_changed_grace_time_does_not_lose_the_slot_that_is_due(database: Database, clock: TestClock) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment = SLOT + timedelta(hours=30)
    bot.configured = ReferralSettings(misfire_grace_hours=48)
    await bot.service.reload_schedule(CLI)
    assert len(await bot.scheduler.decide_due()) == 1


@pytest.mark.anyio
async def test_a_configuration_that_is_wrong_changes_nothing(database: Database) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()

    def reread() -> Settings:
        raise SettingsError('config.json: referral_settings.batch_day is "fryday", but may be one of monday.')

    service = AdminService(database, Settings(), lambda _number: 0, reread=reread)
    with pytest.raises(CashbackError, match=r"The schedule stays as it is: .*fryday"):
        await service.reload_schedule(CLI)
    state = await database.read(schedule.in_force)
    assert state.schedule.rule_text == "friday 15:00"


@pytest.mark.anyio
async def test_a_rule_that_was_changed_at_the_last_moment_takes_its_slot_along(
    database: Database, clock: TestClock
) -> None:
    """Between a look at the ledger and the decision another process may change the rule."""
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment = SLOT
    assert (await database.read(slots.due, now=SLOT)).payable == SLOT
    bot.configured = ReferralSettings(batch_day="monday")
    await bot.service.reload_schedule(CLI)
    assert await bot.service.pay_slot(SLOT) is None
    assert await decided(database) == []


@pytest.mark.anyio
async def test_a_slot_whose_runner_is_full_has_its_batch_and_says_that_it_waits(
    database: Database, clock: TestClock
) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    clock.moment, bot.full = SLOT, True
    assert await bot.scheduler.decide_due() == []
    assert await decided(database) == [(SLOT, SlotStatus.BATCHED)]
    assert await database.read(batches.unfinished) == [1]
    assert len(bot.told) == 1
    assert "waits its turn" in bot.told[0]
    await bot.scheduler.decide_due()
    assert len(bot.told) == 1


@pytest.mark.anyio
async def test_switched_off_and_on_again_nothing_in_between_is_caught_up(database: Database, clock: TestClock) -> None:
    await Bot(database).scheduler.decide_due()
    await Bot(database, ReferralSettings(auto_batch_enabled=False)).scheduler.decide_due()
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
    await bot.service.pause_schedule(CLI, "holidays")
    with pytest.raises(StaleBatchError, match="already paused, by cli: holidays"):
        await bot.service.pause_schedule(CLI, "again")
    clock.moment = SLOT
    assert await Bot(database).scheduler.decide_due() == []
    [row] = await database.read(slots.latest, limit=5)
    assert (row.status, row.reason) == (SlotStatus.SKIPPED, "paused by cli: holidays")
    await bot.service.resume_schedule(CLI)
    clock.moment = SLOT + WEEK
    assert len(await bot.scheduler.decide_due()) == 1


@pytest.mark.anyio
async def test_the_next_slot_can_be_skipped_and_only_that_one(database: Database, clock: TestClock) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    await bot.service.skip_slot(CLI, SLOT, "audit week")
    clock.moment = SLOT
    assert await bot.scheduler.decide_due() == []
    clock.moment = SLOT + WEEK
    assert len(await bot.scheduler.decide_due()) == 1
    entries = await database.read(audit_log.entries, limit=20)
    assert any(entry["action"] == "slot_skipped" and entry["actor"] == "cli" for entry in entries)


@pytest.mark.anyio
async def test_a_slot_skipped_ahead_of_its_time_hides_none_that_was_missed(
    database: Database, clock: TestClock
) -> None:
    """A world of the simulation found it: who looked only after both had passed never decided the first one."""
    bot = Bot(database)
    await bot.scheduler.decide_due()
    await bot.service.skip_slot(CLI, SLOT + WEEK, "holidays")
    clock.moment = SLOT + WEEK + timedelta(days=3)
    await bot.scheduler.decide_due()
    assert await decided(database) == [(SLOT, SlotStatus.MISSED), (SLOT + WEEK, SlotStatus.SKIPPED)]


@pytest.mark.anyio
async def test_who_is_no_admin_neither_pauses_nor_skips(database: Database) -> None:
    bot = Bot(database)
    await bot.scheduler.decide_due()
    stranger = Actor(source=Source.DISCORD, user_id=5, role_ids=frozenset({7}))
    with pytest.raises(NotAllowedError):
        await bot.service.pause_schedule(stranger)
    with pytest.raises(NotAllowedError):
        await bot.service.skip_slot(stranger, SLOT)
    with pytest.raises(NotAllowedError):
        await bot.service.resume_schedule(stranger)
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
            await bot.service.pay_slot(SLOT)
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


class Failing(AdminService):
    """A service whose slots cannot be paid as long as there are failures left."""

    failures: list[Exception]

    async def pay_slot(self, slot_at: datetime) -> int | None:
        """Pay, or fail."""
        if self.failures:
            raise self.failures.pop(0)
        return await super().pay_slot(slot_at)


@pytest.fixture
async def failing(frozen_time: FrozenTime, tmp_path: Path) -> AsyncIterator[tuple[Bot, Failing, Database]]:
    """Stand an hour before a slot that will not be easy to pay."""
    await frozen_time.jump_to(SLOT - timedelta(hours=1))
    async with Database(tmp_path / "ledger.db") as database:
        await database.create_referral(1001, 1002)
        await earn(database, "one")
        bot = Bot(database)
        service = Failing(database, Settings(), bot._submit)
        bot.scheduler = Scheduler(service, database, post_line=bot._post_line, wake=lambda: None)
        yield bot, service, database


@pytest.mark.anyio
async def test_what_fails_at_the_slot_is_said_once_and_tried_again(
    failing: tuple[Bot, Failing, Database], frozen_time: FrozenTime
) -> None:
    bot, service, database = failing
    locked = DatabaseUnavailableError("the file is locked")
    service.failures = [locked, locked, ZeroDivisionError("a mistake")]
    async with running(bot.scheduler):
        await frozen_time.run_to(SLOT + timedelta(minutes=2, seconds=30))
        assert service.failures == []
        assert bot.submitted == []
        await frozen_time.run(minutes=1)
        assert bot.submitted == [1]
        await frozen_time.run(minutes=10)
    assert [line.rpartition("minute: ")[2] for line in bot.told] == [
        "the file is locked",
        "ZeroDivisionError: a mistake",
    ]
    assert await decided(database) == [(SLOT, SlotStatus.BATCHED)]


@pytest.mark.anyio
async def test_what_fails_for_the_whole_grace_time_is_missed_and_the_next_week_is_paid(
    failing: tuple[Bot, Failing, Database], frozen_time: FrozenTime
) -> None:
    bot, service, database = failing
    service.failures = [DatabaseUnavailableError("the disk is full")] * 10_000
    async with running(bot.scheduler):
        await frozen_time.run_to(SLOT + timedelta(hours=1))
        await frozen_time.jump_to(SLOT + timedelta(hours=24, seconds=1))
        await frozen_time.run(minutes=2)
        assert await decided(database) == [(SLOT, SlotStatus.MISSED)]
        assert len(bot.told) == 1
        service.failures = []
        await frozen_time.jump_to(SLOT + WEEK)
    assert await decided(database) == [(SLOT, SlotStatus.MISSED), (SLOT + WEEK, SlotStatus.BATCHED)]


@pytest.mark.anyio
async def test_apschedulers_bell_rings_on_friday_at_15_utc_under_frozen_time(
    frozen_time: FrozenTime, tmp_path: Path
) -> None:
    await frozen_time.jump_to(SLOT - timedelta(hours=1))
    async with Database(tmp_path / "ledger.db") as database:
        await database.create_referral(1001, 1002)
        await earn(database, "one")
        bot = Bot(database)
        async with running(bot.scheduler):
            await frozen_time.jump_to(SLOT - timedelta(seconds=1))
            assert bot.submitted == []
            await frozen_time.run(seconds=1)
            assert bot.submitted == [1]
            await earn(database, "two")
            await frozen_time.run(minutes=5)
            await bot.scheduler.ring()
            await frozen_time.rest()
            assert bot.submitted == [1]
        assert await decided(database) == [(SLOT, SlotStatus.BATCHED)]
