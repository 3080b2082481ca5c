"""The weekly batch: deciding its slots, and who may stop it."""

from datetime import datetime

from database import slots
from database.slots import ScheduleState
from desk.actors import Actor
from desk.door import Door
from pipeline.messages import SlotStatus


class Schedule(Door):
    """Decides slots, each once."""

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
            hold_leavers=self._settings.referral_settings.leaver_policy == "hold",
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
