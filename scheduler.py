"""The weekly batch. APScheduler is the bell; the slot's row in the ledger decides.

A slot is the scheduled moment. Ringing late, twice, or in two processes at once asks the same question of the same row,
and gets one batch.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from database import Database, pending, slots
from desk import Desk
from pipeline.errors import CashbackError
from pipeline.messages import ScheduleOverview
from settings import ReferralSettings

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEK: Final = timedelta(weeks=1)
SLOTS_SHOWN: Final = 8
RETRY_SECONDS: Final = 60
"""The pause after a slot that could not be decided: a locked database, a full disk."""

logger = logging.getLogger(__name__)

Tell = Callable[[str], Awaitable[None]]
"""Says one line in the audit channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When the weekly batch is due: a weekday by its name, and a time of day in UTC."""

    weekday: str
    hour: int
    minute: int

    def __str__(self) -> str:
        """Return the rule as the ledger keeps it."""
        return f"{self.weekday} {self.hour:02}:{self.minute:02}"

    def latest_slot(self, moment: datetime) -> datetime:
        """Return the latest slot that is not after a moment."""
        days_since = (moment.weekday() - WEEKDAYS.index(self.weekday)) % 7
        day = moment.astimezone(UTC) - timedelta(days=days_since)
        slot_at = day.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        return slot_at if slot_at <= moment else slot_at - WEEK

    def next_slot(self, moment: datetime) -> datetime:
        """Return the first slot after a moment."""
        return self.latest_slot(moment) + WEEK

    def slots_between(self, after: datetime, until: datetime) -> list[datetime]:
        """List the slots after one moment, up to and with another, oldest first."""
        slots = []
        slot_at = self.latest_slot(until)
        while slot_at > after:
            slots.append(slot_at)
            slot_at -= WEEK
        return slots[::-1]


def rule_of(settings: ReferralSettings) -> Rule | None:
    """Read the rule from the settings; None where the weekly batch is off."""
    if not settings.auto_batch_enabled:
        return None
    return Rule(weekday=settings.batch_day, hour=settings.batch_hour_utc, minute=settings.batch_minute_utc)


async def overview(database: Database, settings: ReferralSettings) -> ScheduleOverview:
    """Tell when the weekly batch comes next, what it would pay now, and what became of the last slots."""
    rule = rule_of(settings)
    state = await database.read(slots.find_state)
    users, cents = await database.read(
        pending.pending_totals, database.now(), min_payout_cents=settings.min_payout_cents
    )
    return ScheduleOverview(
        rule=str(rule) if rule else "off",
        next_slot_at=await next_open_slot(database, rule) if rule else None,
        paused_by=state.paused_by if state else None,
        paused_reason=state.paused_reason if state else None,
        pending_users=users,
        pending_cents=cents,
        latest=tuple(await database.read(slots.latest, limit=SLOTS_SHOWN)),
    )


async def next_open_slot(database: Database, rule: Rule) -> datetime:
    """Return the next slot that nobody has skipped ahead of its time."""
    return (await open_slots(database, rule, 1))[0]


async def open_slots(database: Database, rule: Rule | None, count: int) -> list[datetime]:
    """Return so many slots to come that nobody has skipped ahead of their time; none where there is no rule."""
    found: list[datetime] = []
    slot_at = rule.next_slot(database.now()) if rule else None
    while slot_at is not None and len(found) < count:
        found += await database.read(slots.undecided, [slot_at])
        slot_at += WEEK
    return found


class Scheduler:
    """Rings at each slot, catches up what was missed, and never dies of a slot that fails."""

    def __init__(self, desk: Desk, database: Database, rule: Rule | None, *, grace: timedelta, tell: Tell) -> None:
        """Take the desk, the ledger for reading, the rule (None where the weekly batch is off), and who is told."""
        self._desk = desk
        self._database = database
        self._rule = rule
        self._grace = grace
        self._tell = tell
        self._rung = anyio.Event()
        self._bell = AsyncIOScheduler(timezone=UTC)

    async def run(self) -> None:
        """Set APScheduler's bell and listen to it; until cancelled."""
        self._set_bell()
        self._bell.start()
        try:
            await self.listen()
        finally:
            self._bell.shutdown(wait=False)

    async def listen(self) -> None:
        """Put the rule in force, decide what passed while nothing ran, then wait for `ring`; until cancelled."""
        while True:
            self._rung = anyio.Event()
            with anyio.move_on_after(await self._decide_or_report()):
                await self._rung.wait()

    def _set_bell(self) -> None:
        if self._rule is not None:
            # The weekday by its name: for APScheduler 0 is Monday. The zone is the trigger's own, not the machine's.
            trigger = CronTrigger(
                day_of_week=self._rule.weekday[:3], hour=self._rule.hour, minute=self._rule.minute, timezone=UTC
            )
            self._bell.add_job(self.ring, trigger, misfire_grace_time=None, coalesce=True, max_instances=1)

    def look_at_the_clock(self) -> None:
        """Make APScheduler look at the clock now, where the clock was moved instead of waited for."""
        self._bell.wakeup()

    async def ring(self) -> None:
        """Ask the ledger whether a slot is due. Ringing once too often is harmless."""
        self._rung.set()

    async def _decide_or_report(self) -> float | None:
        """Decide what is due; return the seconds until another try where that failed, None where it did not."""
        try:
            await self.decide_due()
        except CashbackError as error:
            logger.warning("the weekly batch waits: %s", error)
            await self._tell(f"The weekly batch could not be started and is tried again: {error}")
            return RETRY_SECONDS
        return None

    async def decide_due(self) -> list[int]:
        """Pay the latest due slot if it is within the grace time, record older ones as missed; return batch numbers."""
        state = await self._desk.open_schedule(str(self._rule) if self._rule else "off")
        if self._rule is None:
            return []
        now = self._database.now()
        # A slot that was skipped ahead of its time lies in the future and hides nothing that is past.
        newest = await self._database.read(slots.newest_slot, until=now)
        since = max(state.in_force_since, newest) if newest else state.in_force_since
        passed = self._rule.slots_between(since, now)
        due = await self._database.read(slots.undecided, passed)
        paid = []
        for slot_at in due:
            if slot_at == passed[-1] and now - slot_at <= self._grace:
                number = await self._desk.pay_slot(slot_at)
                paid += [number] if number is not None else []
            elif await self._desk.miss_slot(slot_at, _reason(slot_at, passed[-1], self._grace)):
                await self._tell(f"The weekly batch of {slot_at:%A %Y-%m-%d %H:%M} UTC was missed: nothing ran then.")
        return paid


def _reason(slot_at: datetime, latest: datetime, grace: timedelta) -> str:
    if slot_at != latest:
        return "nothing ran then; the cashback is part of a later batch"
    return f"nothing ran then, nor within the grace time of {grace.total_seconds() / 3600:g} hours"
