"""Taking credited cashback back: asked for, shown, and confirmed, by two admins if two must approve."""

from datetime import timedelta

from cashback.database.payouts import reversals
from cashback.domain.errors import CashbackError, NotAllowedError, SecondApproverError
from cashback.domain.model import Reversal
from cashback.domain.reason_texts import MAX_REASON_LENGTH
from cashback.services.actors import Actor
from cashback.services.base import Service
from cashback.services.terms import batch_limits_of


class Reversals(Service):
    """Takes payouts back; the admin that asked for it decides, and if two must approve, any other admin too."""

    async def propose_reversal(
        self, actor: Actor, batch_number: int, *, reason: str, referrer_id: int | None = None
    ) -> Reversal:
        """Write down what is to be taken back, of one member or of the whole batch. Nothing moves yet.

        Raises NotAllowedError, StaleBatchError, or CashbackError if the reason is missing or too long.
        """
        await self.require_admin(actor, f"take back payouts of batch number {batch_number}")
        reason = " ".join(reason.split())
        if not 0 < len(reason) <= MAX_REASON_LENGTH:
            raise CashbackError(f"The reason has {len(reason)} characters; give one of 1 to {MAX_REASON_LENGTH}.")
        now, settings = self._database.now(), self._settings.referral_settings
        return await self._database.write(
            reversals.propose,
            batch_number=batch_number,
            referrer_id=referrer_id,
            reason=reason,
            actor=str(actor),
            now=now,
            expires_at=now + timedelta(seconds=settings.confirm_seconds),
            terms=batch_limits_of(settings),
            token=self._database.new_token(),
        )

    async def approve_reversal(self, actor: Actor, number: int, *, token: str | None = None) -> Reversal:
        """Take back what was shown, once; or, if two must approve, leave it for any other admin.

        Raises NotAllowedError or StaleBatchError; then nothing moves.
        """
        action = f"approve reversal number {number}"
        await self._require_whose(actor, number, action)
        try:
            return await self._database.write(
                reversals.approve,
                number,
                actor=str(actor),
                now=self._database.now(),
                approver_id=actor.user_id,
                wait=timedelta(hours=self._settings.referral_settings.approval_hours),
                token=token,
            )
        except SecondApproverError:
            await self._note_refusal(actor, action)
            raise

    async def cancel_reversal(self, actor: Actor, number: int, *, token: str | None = None) -> Reversal:
        """Take nothing back after all: its admin may, or any admin if it waits for one. Raises StaleBatchError."""
        await self._require_whose(actor, number, f"cancel reversal number {number}")
        now = self._database.now()
        return await self._database.write(reversals.cancel, number, actor=str(actor), now=now, token=token)

    async def _require_whose(self, actor: Actor, number: int, action: str) -> None:
        await self.require_admin(actor, action)
        reversal = await self._database.read(reversals.find, number, self._database.now())
        if reversal.first_approved_by is None and reversal.proposed_by != str(actor):
            await self._note_refusal(actor, action)
            raise NotAllowedError(f"Only {reversal.proposed_by}, who asked for this, may decide on it.")
