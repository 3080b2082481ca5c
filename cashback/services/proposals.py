"""Proposing a batch, and deciding on it."""

from datetime import timedelta
from typing import Final

from cashback.database.payouts import approvals, batches, lapsing, proposals
from cashback.domain.errors import CashbackError, NotAllowedError, SecondApproverError
from cashback.domain.model import BatchReport, BatchSummary, Selection
from cashback.services.actors import Actor
from cashback.services.base import Service
from cashback.services.terms import batch_limits_of

EVERYONE: Final = Selection()


class Proposals(Service):
    """Plans batches; who planned one decides on it."""

    async def propose(
        self, actor: Actor, *, target_user_id: int | None = None, selection: Selection = EVERYONE
    ) -> BatchSummary:
        """Plan a batch for everyone, for one referrer or for a selection, and return what it would pay.

        Raises NotAllowedError, NothingPendingError or BlacklistedError; then nothing is planned.
        """
        await self.require_admin(actor, "propose a batch")
        if target_user_id is not None and selection != EVERYONE:
            raise CashbackError("Name one member, or some with only or exclude, not both.")
        if both := selection.only & selection.exclude:
            raise CashbackError(f"Member {min(both)} is named by both only and exclude.")
        now = self._database.now()
        return await self._database.write(
            proposals.propose,
            actor=str(actor),
            now=now,
            expires_at=now + timedelta(seconds=self._settings.referral_settings.confirm_seconds),
            target_user_id=target_user_id,
            min_payout_cents=self._settings.referral_settings.min_payout_cents,
            hold_leavers=self._settings.referral_settings.leaver_policy == "hold",
            selection=selection,
            terms=batch_limits_of(self._settings.referral_settings),
            token=self._database.new_token(),
        )

    async def approve(self, actor: Actor, batch_number: int, *, token: str | None = None) -> BatchReport:
        """Approve a proposed batch in time, once, and hand it to the runner; return how it stands.

        Only who proposed it may. Where two must approve, that only has it wait for any other admin, who then approves
        it here too. Raises NotAllowedError or StaleBatchError; then nothing is paid. Raises BusyError if the runner
        is full: the batch is approved and waits for the next start or `resume`.
        """
        action = f"approve batch number {batch_number}"
        await self._require_issuer(actor, batch_number, action)
        try:
            batch_id = await self._database.write(
                approvals.approve,
                batch_number,
                actor=str(actor),
                now=self._database.now(),
                approver_id=actor.user_id,
                wait=timedelta(hours=self._settings.referral_settings.approval_hours),
                valid=timedelta(days=self._settings.referral_settings.approval_valid_days),
                token=token,
            )
        except SecondApproverError:
            await self._note_refusal(actor, action)
            raise
        if batch_id is not None:
            self._submit(batch_number)
        return await self._database.read(batches.report, batch_number)

    async def cancel(self, actor: Actor, batch_number: int, *, token: str | None = None) -> None:
        """Cancel a proposed batch. Only its proposer may, or any admin if it waits for a second approval.

        Raises NotAllowedError or StaleBatchError.
        """
        await self._require_issuer(actor, batch_number, f"cancel batch number {batch_number}")
        now = self._database.now()
        await self._database.write(proposals.cancel, batch_number, actor=str(actor), now=now, token=token)

    async def _require_issuer(self, actor: Actor, batch_number: int, action: str) -> None:
        await self.require_admin(actor, action)
        report = await self._database.read(batches.report, batch_number)
        if report.first_approved_by is not None:
            # It waits for any other admin; the ledger itself refuses who was the first.
            return
        if report.proposed_by != str(actor):
            await self._note_refusal(actor, action)
            message = f"Only {report.proposed_by}, who asked for this summary, may decide on it."
            raise NotAllowedError(message)

    async def is_waiting(self, batch_number: int) -> bool:
        """Return whether a batch waits for a second admin."""
        report = await self._database.read(batches.report, batch_number, failures=0)
        return report.first_approved_by is not None and report.approved_by is None

    async def expire(self) -> list[int]:
        """Expire every overdue proposal, and close the batches whose approval has lapsed; return their numbers."""
        if self.clock_check.is_doubted:
            return []
        now = self._database.now()
        expired = await self._database.write(proposals.expire, now=now)
        return [*expired, *await self._database.write(lapsing.lapse_due, now=now)]
