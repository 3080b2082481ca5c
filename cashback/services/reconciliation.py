"""What touches the books without moving money: proving them, and taking in what shops report."""

from collections.abc import Sequence

from cashback.database import audit_log
from cashback.database.integrity import reconciliation
from cashback.database.integrity.reconciliation import Verdict
from cashback.database.referral_program import refunds
from cashback.database.referral_program.purchases import Purchase, RecordedPurchase
from cashback.database.referral_program.refunds import RecordedRefund, Refund
from cashback.domain.errors import RefundRefusedError
from cashback.services.actors import Actor
from cashback.services.base import Service


class Books(Service):
    """Proves the books when an admin asks, and records purchases for the shops whose key is known."""

    async def verify(self, actor: Actor) -> Verdict:
        """Prove from the rows that the books balance; who asked is in the audit log. Raises NotAllowedError."""
        await self.require_admin(actor, "verify the books")
        verdict = await self._database.read(reconciliation.verify)
        await self._database.write(
            audit_log.add_entry,
            at=self._database.now(),
            actor=str(actor),
            action="verified",
            details={"balanced": verdict.balanced, "breaches": len(verdict.breaches)},
        )
        return verdict

    async def record_purchases(self, reported: Sequence[Purchase]) -> list[RecordedPurchase]:
        """Record what a shop reports, in one transaction; answers what became of each, in the order given."""
        return await self._database.record_purchases(reported)

    async def record_refunds(
        self, actor: Actor, reported: Sequence[Refund]
    ) -> list[RecordedRefund | RefundRefusedError]:
        """Record what a shop took back, in one transaction; answers what became of each, in the order given."""
        return await self._database.write(refunds.record_refunds, reported, actor=str(actor), now=self._database.now())
