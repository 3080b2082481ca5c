"""The desk: what an admin may do and until when. The one door for Discord, the command line and the calendar.

Every rule of who may is here, not in a view; every refusal is in the audit log.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from database import Database, approvals, audit_log, batches, proposals, slots
from database.slots import ScheduleState
from pipeline.errors import NotAllowedError, StaleBatchError
from pipeline.messages import BatchReport, BatchSummary, SlotStatus
from settings import Settings

TRUSTED: Final = ("cli", "schedule")


class Source(StrEnum):
    """Where an action comes from."""

    DISCORD = "discord"
    CLI = "cli"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts. A Discord actor carries the roles that the member has at this very moment."""

    source: Source
    user_id: int | None = None
    role_ids: frozenset[int] = frozenset()

    def __str__(self) -> str:
        """Return the name that batches and the audit log keep."""
        return f"{self.source}:{self.user_id}" if self.user_id is not None else str(self.source)


CLI: Final = Actor(source=Source.CLI)
SCHEDULE: Final = Actor(source=Source.SCHEDULE)


class Desk:
    """Takes admins' requests, checks them, and hands approved batches to the runner."""

    def __init__(self, database: Database, settings: Settings, submit: Callable[[int], int]) -> None:
        """Take the ledger, the settings, and the runner's `submit`."""
        self._database = database
        self._settings = settings
        self._submit = submit

    def may_pay(self, actor: Actor) -> bool:
        """Tell whether an actor may pay: who runs the program's command line or calendar, or has the admin role."""
        return actor.source in TRUSTED or self._settings.role_ids.admin in actor.role_ids

    async def require_admin(self, actor: Actor, action: str) -> None:
        """Raise NotAllowedError, and put the attempt into the audit log, where the actor is no admin."""
        if self.may_pay(actor):
            return
        await self._note_refusal(actor, action)
        raise NotAllowedError

    async def _note_refusal(self, actor: Actor, action: str) -> None:
        await self._database.write(
            audit_log.add_entry,
            at=self._database.now(),
            actor=str(actor),
            action="refused",
            details={"wanted": action},
        )

    async def propose(self, actor: Actor, *, target_user_id: int | None = None) -> BatchSummary:
        """Plan a batch for everyone, or for one referrer, and return what it would pay.

        Raises NotAllowedError, NothingPendingError or BlacklistedError; then nothing is planned.
        """
        await self.require_admin(actor, "propose a batch")
        now = self._database.now()
        return await self._database.write(
            proposals.propose,
            actor=str(actor),
            now=now,
            expires_at=now + timedelta(seconds=self._settings.referral_settings.confirm_seconds),
            target_user_id=target_user_id,
            min_payout_cents=self._settings.referral_settings.min_payout_cents,
        )

    async def approve(self, actor: Actor, batch_number: int) -> BatchReport:
        """Approve a proposed batch in time, once, and hand it to the runner; return how it stands.

        Only who proposed it may. Raises NotAllowedError or StaleBatchError; then nothing is paid. Raises BusyError
        where the runner is full: the batch is approved and waits for the next start or `resume`.
        """
        await self._require_issuer(actor, batch_number, f"approve batch number {batch_number}")
        await self._database.write(approvals.approve, batch_number, actor=str(actor), now=self._database.now())
        self._submit(batch_number)
        return await self._database.read(batches.report, batch_number)

    async def cancel(self, actor: Actor, batch_number: int) -> None:
        """Cancel a proposed batch. Only who proposed it may. Raises NotAllowedError or StaleBatchError."""
        await self._require_issuer(actor, batch_number, f"cancel batch number {batch_number}")
        await self._database.write(proposals.cancel, batch_number, actor=str(actor), now=self._database.now())

    async def _require_issuer(self, actor: Actor, batch_number: int, action: str) -> None:
        await self.require_admin(actor, action)
        proposed_by = (await self._database.read(batches.report, batch_number)).proposed_by
        if proposed_by != str(actor):
            await self._note_refusal(actor, action)
            message = f"Only {proposed_by}, who asked for this summary, may decide on it."
            raise NotAllowedError(message)

    async def expire(self) -> list[int]:
        """Move every overdue proposal to expired; return the batch numbers."""
        return await self._database.write(proposals.expire, now=self._database.now())

    async def resume(self, actor: Actor, batch_number: int | None = None) -> list[int]:
        """Hand every approved but unfinished batch to the runner, or the one that is named; return their numbers.

        Raises StaleBatchError where the one that is named has nothing left to pay.
        """
        await self.require_admin(actor, "resume batches")
        waiting = await self._database.read(batches.unfinished)
        if batch_number is not None:
            if batch_number not in waiting:
                report = await self._database.read(batches.report, batch_number)
                message = f"Batch {report.batch_id or batch_number} is {report.status}; there is nothing to resume."
                raise StaleBatchError(message)
            waiting = [batch_number]
        for number in waiting:
            self._submit(number)
        return waiting

    async def open_schedule(self, rule: str) -> ScheduleState:
        """Put the schedule's rule in force, "friday 15:00" or "off"; a changed one begins now."""
        return await self._database.write(slots.put_rule_in_force, rule, now=self._database.now())

    async def pay_slot(self, slot_at: datetime) -> int | None:
        """Decide a due slot and hand its batch to the runner; None where there is no batch: the slot's row says why.

        Raises BusyError where the runner is full: the batch is approved and waits for the next `resume`.
        """
        number = await self._database.write(
            slots.pay,
            slot_at,
            now=self._database.now(),
            min_payout_cents=self._settings.referral_settings.min_payout_cents,
        )
        if number is not None:
            self._submit(number)
        return number

    async def miss_slot(self, slot_at: datetime, reason: str) -> bool:
        """Record a slot that passed beyond the grace time; False where it was decided already."""
        return await self._database.write(
            slots.decide, slot_at, SlotStatus.MISSED, actor="schedule", reason=reason, now=self._database.now()
        )

    async def skip_slot(self, actor: Actor, slot_at: datetime, reason: str | None = None) -> bool:
        """Take a slot that is to come out of the schedule; False where it was decided already."""
        await self.require_admin(actor, f"skip the slot of {slot_at:%Y-%m-%d %H:%M} UTC")
        return await self._database.write(
            slots.decide, slot_at, SlotStatus.SKIPPED, actor=str(actor), reason=reason, now=self._database.now()
        )

    async def pause_schedule(self, actor: Actor, reason: str | None = None) -> bool:
        """Skip all slots until the schedule is resumed; False where it was paused already."""
        await self.require_admin(actor, "pause the schedule")
        return await self._database.write(slots.pause, actor=str(actor), reason=reason, now=self._database.now())

    async def resume_schedule(self, actor: Actor, reason: str | None = None) -> bool:
        """End a pause; False where there was none."""
        await self.require_admin(actor, "resume the schedule")
        return await self._database.write(slots.resume, actor=str(actor), reason=reason, now=self._database.now())
