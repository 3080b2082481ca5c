"""Reconciles the ledger, and records what the shops report."""

from collections.abc import Iterable, Sequence

from cashback.database import verifications
from cashback.database.integrity import reconciliation
from cashback.database.integrity.reconciliation import Verdict
from cashback.database.referral_program import people, reports
from cashback.database.referral_program.purchases import Purchase, RecordedPurchase
from cashback.database.referral_program.refunds import Refund
from cashback.database.referral_program.shop_refunds import Answer
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.services.actors import Actor
from cashback.services.base import Service


class Reconciliation(Service):
    """Reconciles the ledger when an admin asks, and records purchases of shops with a known key."""

    async def verify(self, actor: Actor) -> Verdict:
        """Reconcile the ledger from its rows, with the actor in the audit log. Raises NotAllowedError."""
        await self.require_admin(actor, "verify the books")
        verdict = await self._database.read(reconciliation.verify)
        await self._database.write(
            verifications.note_asked, breaches=len(verdict.breaches), actor=str(actor), now=self._database.now()
        )
        return verdict

    async def record_purchases(self, reported: Sequence[Purchase]) -> list[RecordedPurchase]:
        """Record a shop's purchases in one transaction; return the outcome of each, in the order given."""
        return await self._database.record_purchases(reported)

    async def record_reported(
        self, actor: Actor, reported: Sequence[Purchase | UnmatchedPurchase], *, digest: str | None = None
    ) -> list[RecordedPurchase]:
        """Record a shop's purchases of members and of guests in one transaction; return the outcome of each.

        `digest` is of the request.
        """
        terms = self._settings.referral_settings
        return await self._database.write(
            reports.report_purchases,
            reported,
            terms.rate_ppm,
            self._database.now(),
            holding_days=terms.holding_days,
            unmatched_days=terms.unmatched_days,
            dates=terms.earning_dates,
            actor=str(actor),
            digest=digest,
        )

    async def strangers_among(self, user_ids: Iterable[int]) -> dict[int, str]:
        """Return the ids that the ledger does not know and that cannot be Discord accounts, each with the reason."""
        return await self._database.read(people.strangers_among, list(user_ids), self._database.now())

    async def record_refunds(
        self, actor: Actor, reported: Sequence[Refund], *, digest: str | None = None
    ) -> list[Answer]:
        """Record a shop's refunds in one transaction; return the outcome of each, in the order given."""
        return await self._database.write(
            reports.report_refunds,
            reported,
            actor=str(actor),
            now=self._database.now(),
            dates=self._settings.referral_settings.earning_dates,
            digest=digest,
        )
