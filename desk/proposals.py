"""Proposing a batch, and deciding on it."""

from datetime import timedelta

from database import approvals, batches, proposals
from desk.actors import Actor
from desk.door import Door
from pipeline.errors import NotAllowedError
from pipeline.messages import BatchReport, BatchSummary


class Proposals(Door):
    """Plans batches; who planned one decides on it."""

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
            hold_leavers=self._settings.referral_settings.leaver_policy == "hold",
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
