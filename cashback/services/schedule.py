"""The weekly batch: the schedule in force, its slots, and how admins change it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from cashback.database.payouts import batches, proposals
from cashback.database.schedule import corrections, outlook, schedule, slots
from cashback.database.schedule.corrections import NOTHING_WRONG, Beginning, Correction
from cashback.database.schedule.schedule import ScheduleState
from cashback.database.schedule.slots import DueSlots
from cashback.domain import calendar
from cashback.domain.calendar import Rule
from cashback.domain.errors import CashbackError
from cashback.domain.model import PendingPreview, ScheduleOverview, SlotStatus
from cashback.domain.reason_texts import MAX_REASON_LENGTH
from cashback.services.actors import SCHEDULE, Actor
from cashback.services.base import Service
from cashback.services.terms import batch_limits_of
from cashback.settings import ReferralSettings, Settings, SettingsError

T = TypeVar("T")


class Schedule(Service):
    """Decides each slot once, by the schedule in force in the ledger."""

    _unconfirmed: tuple[datetime, float] | None = None
    """The beginning that this process wrote before Discord had shown the time, and the timer's seconds then."""

    async def schedule_overview(self) -> ScheduleOverview:
        """Return when the weekly batch comes next, and the outcomes of the last slots."""
        configured = schedule_of(self._settings.referral_settings)
        return await self._database.read(outlook.overview, configured=configured, now=self._database.now())

    async def coming_slots(self, count: int) -> list[datetime]:
        """List so many future slots that are not skipped; empty if the weekly batch is off."""
        configured = schedule_of(self._settings.referral_settings)
        return await self._database.read(slots.coming, configured=configured, now=self._database.now(), count=count)

    async def preview(self) -> PendingPreview:
        """Return what the weekly batch would pay now. It occupies the writer for as long as planning such a batch."""
        referral = self._settings.referral_settings
        return await self._database.write(
            proposals.preview,
            now=self._database.now(),
            min_payout_cents=referral.min_payout_cents,
            hold_leavers=referral.leaver_policy == "hold",
            terms=batch_limits_of(referral),
        )

    async def open_schedule(self) -> ScheduleState:
        """Put the configured schedule in force, as at a start; a changed rule counts from now."""
        return await self._put_in_force(self._settings, SCHEDULE)

    async def reload_schedule(self, actor: Actor) -> ScheduleState:
        """Read the configuration again and put its schedule in force for every process on this ledger.

        Raises NotAllowedError, or CashbackError if the configuration is wrong; then the schedule is not changed.
        """
        await self.require_admin(actor, "reload the schedule")
        try:
            wanted = self._reread() if self._reread is not None else self._settings
        except SettingsError as error:
            raise CashbackError(f"The schedule stays as it is: {error}") from error
        return await self._put_in_force(wanted, actor)

    async def _put_in_force(self, settings: Settings, actor: Actor) -> ScheduleState:
        is_known, seconds = not self.clock_check.is_stale, self.clock_check.seconds
        now = self._right_now()
        state = await self._database.write(
            schedule.put_in_force, schedule_of(settings.referral_settings), actor=str(actor), now=now
        )
        if state.in_force_since == now and not is_known:
            self._unconfirmed = (now, seconds)
        return state

    def _right_now(self) -> datetime:
        """Return the time that Discord shows; the machine's, if Discord has not answered."""
        return self._database.now() - self.clock_check.difference

    async def _open_if_new(self) -> None:
        if await self._database.read(schedule.find_state) is None:
            await self.open_schedule()

    async def correct_schedule(self) -> Correction:
        """Make void what was decided under a wrong clock, and return it; Discord's time counts if it is known."""
        if not self.clock_check.is_confirmed:
            return NOTHING_WRONG
        now = self._right_now()
        beginning = self._confirmed_beginning(now)
        if not await self._database.read(corrections.find, now=now, beginning=beginning):
            return NOTHING_WRONG
        return await self._database.write(corrections.apply, now=now, beginning=beginning)

    def _confirmed_beginning(self, now: datetime) -> Beginning | None:
        """Return what this process wrote as the schedule's beginning before Discord showed the time, once it does."""
        if self._unconfirmed is None or self.clock_check.is_stale:
            return None
        (written, seconds), self._unconfirmed = self._unconfirmed, None
        return Beginning(written=written, right=now - timedelta(seconds=self.clock_check.seconds - seconds))

    async def due_slots(self) -> DueSlots:
        """Return the slots that are due. Under a doubted clock nothing is missed, and paid is what both clocks ask."""
        now = self._database.now()
        due = await self._database.read(slots.due, now=now)
        if not self.clock_check.is_doubted:
            return due
        by_discord = await self._database.read(slots.due, now=now - self.clock_check.difference)
        is_agreed = bool(self.clock_check.difference) and by_discord.payable == due.payable
        return replace(due, payable=due.payable if is_agreed else None, missed=())

    async def pay_slot(self, slot_at: datetime) -> int | None:
        """Decide a due slot and hand its batch to the runner; None if there is no batch: the slot's row has the reason.

        A batch that needs a second admin waits, and the approval hands it to the runner. Raises BusyError if the runner
        is full: the batch is approved and waits for the next `resume`.
        """
        number = await self._database.write(
            slots.pay,
            slot_at,
            now=self._database.now(),
            min_payout_cents=self._settings.referral_settings.min_payout_cents,
            hold_leavers=self._settings.referral_settings.leaver_policy == "hold",
            terms=batch_limits_of(self._settings.referral_settings),
            token=self._database.new_token(),
        )
        if number is not None and (await self._database.read(batches.report, number)).approved_by is not None:
            self._submit(number)
        return number

    async def miss_slot(self, slot_at: datetime, reason: str) -> bool:
        """Record a slot that passed beyond the grace time; return False if it was already decided, or is to come."""
        if slot_at >= self._database.now():
            return False
        return await self._database.write(
            slots.decide, slot_at, SlotStatus.MISSED, actor="schedule", reason=reason, now=self._database.now()
        )

    async def skip_slot(self, actor: Actor, slot_at: datetime, reason: str | None = None) -> None:
        """Skip one future slot. Raises NotAllowedError or StaleBatchError."""
        await self.require_admin(actor, f"skip the slot of {slot_at:%Y-%m-%d %H:%M} UTC")
        await self._change(slots.skip, slot_at, actor=str(actor), reason=checked_reason(reason))

    async def skip_next(self, actor: Actor, reason: str | None = None) -> datetime:
        """Skip the next slot that is not yet skipped, and return it. Raises NotAllowedError or StaleBatchError."""
        await self.require_admin(actor, "skip the next slot")
        return await self._change(slots.skip_next, actor=str(actor), reason=checked_reason(reason))

    async def unskip_slot(self, actor: Actor, slot_at: datetime, reason: str | None = None) -> None:
        """Withdraw the skip of one future slot. Raises NotAllowedError or StaleBatchError."""
        await self.require_admin(actor, f"unskip the slot of {slot_at:%Y-%m-%d %H:%M} UTC")
        await self._change(slots.unskip, slot_at, actor=str(actor), reason=checked_reason(reason))

    async def unskip_next(self, actor: Actor, reason: str | None = None) -> datetime:
        """Withdraw the skip of the next skipped slot, and return it. Raises NotAllowedError or StaleBatchError."""
        await self.require_admin(actor, "unskip the next skipped slot")
        return await self._change(slots.unskip_next, actor=str(actor), reason=checked_reason(reason))

    async def pause_schedule(self, actor: Actor, reason: str | None = None) -> None:
        """Skip all slots until the schedule is resumed. Raises NotAllowedError or StaleBatchError."""
        await self.require_admin(actor, "pause the schedule")
        await self._change(schedule.pause, actor=str(actor), reason=checked_reason(reason))

    async def resume_schedule(self, actor: Actor, reason: str | None = None, *, since: datetime | None = None) -> None:
        """End a pause, or only the one `since` a moment. Raises NotAllowedError or StaleBatchError."""
        await self.require_admin(actor, "resume the schedule")
        await self._change(schedule.resume, since, actor=str(actor), reason=checked_reason(reason))

    async def _change(self, change: Callable[..., T], *args: datetime | None, actor: str, reason: str | None) -> T:
        """Change the schedule; on a ledger without one, start from the configured schedule."""
        await self._open_if_new()
        return await self._database.write(change, *args, actor=actor, reason=reason, now=self._right_now())


def schedule_of(settings: ReferralSettings) -> calendar.Schedule:
    """Build the schedule from the settings."""
    rule = Rule(weekday=settings.batch_day, hour=settings.batch_hour_utc, minute=settings.batch_minute_utc)
    return calendar.Schedule(
        rule=rule if settings.auto_batch_enabled else None,
        grace_hours=settings.misfire_grace_hours,
        notice_hours=settings.notice_hours,
    )


def checked_reason(reason: str | None) -> str | None:
    """Normalize a reason to one line, None if it is empty. Raises CashbackError if it is too long."""
    text = " ".join((reason or "").split())
    if len(text) > MAX_REASON_LENGTH:
        raise CashbackError(f"The reason has {len(text)} characters; at most {MAX_REASON_LENGTH} are kept.")
    return text or None
