"""The weekly batch. APScheduler triggers the check; the slot's row in the ledger decides.

A slot is the scheduled moment. A late trigger, a second one, or two processes at once read the same row, and get one
batch. The rule in force is the ledger's, so that a change made anywhere reaches every process.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import anyio
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from cashback.database import Database
from cashback.domain.calendar import Rule
from cashback.domain.errors import BusyError, CashbackError
from cashback.domain.ports import PostLine
from cashback.services import AdminService

POLL_SECONDS: Final = 60
"""How often the ledger is checked without a trigger.

It finds a rule that another process changed, and a slot that could not be decided, for example because of a locked
file or a full disk.
"""

logger = logging.getLogger(__name__)


class Scheduler:
    """Opens each slot, catches up on missed ones, and survives a slot that fails."""

    def __init__(
        self, service: AdminService, database: Database, *, post_line: PostLine, wake: Callable[[], None]
    ) -> None:
        """`post_line` reports trouble; `wake` wakes the task that shows the slots."""
        self._service = service
        self._database = database
        self._post_line = post_line
        self._wake = wake
        self._is_open = False
        self._trouble: str | None = None
        self._rule: Rule | None = None
        self._rung = anyio.Event()
        self._bell = AsyncIOScheduler(timezone=UTC)

    async def run(self) -> None:
        """Start APScheduler and check its triggers, until cancelled."""
        # A new one each time: after a shutdown its jobs are lost, and it ends only at the loop's next turn.
        self._bell, self._rule = AsyncIOScheduler(timezone=UTC), None
        self._bell.start()
        try:
            await self.listen()
        finally:
            self._bell.shutdown(wait=False)

    async def listen(self) -> None:
        """Put the configured schedule in force, decide the slots that have passed, then wait for `ring`."""
        while True:
            self._rung = anyio.Event()
            await self._decide_or_report()
            with anyio.move_on_after(POLL_SECONDS):
                await self._rung.wait()

    async def ring(self) -> None:
        """Check if a slot is due. One check too many is harmless."""
        self._rung.set()

    async def _decide_or_report(self) -> None:
        """Decide the due slots. A failure is reported once, and retried at the next check."""
        try:
            await self.decide_due()
        except Exception as error:
            is_expected = isinstance(error, CashbackError)
            trouble = str(error) if is_expected else f"{type(error).__name__}: {error}"
            logger.warning("the weekly batch waits: %s", trouble, exc_info=not is_expected)
            if trouble != self._trouble:
                await self._post_line(f"The weekly batch could not be checked and is retried every minute: {trouble}")
            self._trouble = trouble
        else:
            self._trouble = None

    async def decide_due(self) -> list[int]:
        """Pay the latest due slot if it is within the grace time, record older ones as missed; return batch numbers.

        The first time, put the configured schedule in force; later, follow the one in the ledger.
        """
        if not self._is_open:
            await self._service.open_schedule()
            self._is_open = True
        if correction := await self._service.correct_schedule():
            logger.warning("%s", correction)
            await self._post_line(str(correction))
        due = await self._service.due_slots()
        self._set_bell(due.rule)
        for slot_at, reason in due.missed:
            await self._service.miss_slot(slot_at, reason)
        paid = [] if due.payable is None else await self._pay(due.payable)
        if due.missed or due.payable is not None:
            self._wake()
        return paid

    async def _pay(self, slot_at: datetime) -> list[int]:
        try:
            number = await self._service.pay_slot(slot_at)
        except BusyError as busy:
            # The slot has its batch, which waits for its turn.
            await self._post_line(f"The weekly batch of {slot_at:%A %Y-%m-%d %H:%M} UTC waits its turn. {busy}")
            return []
        if number is not None and await self._service.is_waiting(number):
            await self._post_line(
                f"The weekly batch, number {number}, waits for an admin: approve it here, or with"
                f" `cashback approve {number}`. Until then nothing is paid."
            )
        return [number] if number is not None else []

    def _set_bell(self, rule: Rule | None) -> None:
        if rule == self._rule:
            return
        self._rule = rule
        self._bell.remove_all_jobs()
        if rule is not None:
            # The weekday by its name: for APScheduler 0 is Monday. The time zone is the trigger's own, not the
            # machine's.
            trigger = CronTrigger(day_of_week=rule.weekday[:3], hour=rule.hour, minute=rule.minute, timezone=UTC)
            self._bell.add_job(self.ring, trigger, misfire_grace_time=None, coalesce=True, max_instances=1)
