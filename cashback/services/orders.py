"""Orders: those that wait for a member, and what an admin does about one."""

from collections.abc import Sequence

from cashback.database.queries import orders
from cashback.database.referral_program import corrections, people, unmatched
from cashback.database.referral_program.purchases import RecordedPurchase
from cashback.database.referral_program.unmatched import UnmatchedPurchase, Waiting
from cashback.domain.earning import FROM_MAIN, MAIN, Origin
from cashback.domain.errors import CashbackError, OrderRefusedError
from cashback.domain.money import dollars
from cashback.domain.orders import OrderFacts
from cashback.domain.reason_texts import MAX_REASON_LENGTH
from cashback.services.actors import Actor
from cashback.services.base import Service

MOST_LISTED = 1_000


class Orders(Service):
    """Finds orders, assigns those without a member, and corrects others."""

    async def record_unmatched(
        self, reported: Sequence[UnmatchedPurchase], *, origin: Origin = FROM_MAIN
    ) -> list[bool]:
        """Have purchases wait for their member; return for each whether it is new."""
        terms = self._settings.referral_settings
        return await self._database.write(
            unmatched.record_unmatched,
            reported,
            terms.rate_ppm,
            self._database.now(),
            days=terms.unmatched_days,
            origin=origin,
        )

    async def waiting_orders(self, actor: Actor, *, limit: int = MOST_LISTED) -> list[Waiting]:
        """List the purchases that wait for their member, those that wait shortest first. Raises NotAllowedError."""
        await self.require_admin(actor, "see the orders that wait")
        return await self._database.read(unmatched.waiting, self._database.now(), limit=limit)

    async def assign_order(
        self, actor: Actor, order_id: str, member_id: int, *, source: str = MAIN, reason: str | None = None
    ) -> RecordedPurchase:
        """Assign a waiting order to its member, once. Raises NotAllowedError or OrderRefusedError."""
        await self.require_admin(actor, f"assign order {order_id} to {member_id}")
        await self._require_account(member_id)
        terms = self._settings.referral_settings
        return await self._database.write(
            unmatched.assign,
            order_id,
            member_id,
            actor=str(actor),
            now=self._database.now(),
            source=source,
            reason=reason,
            holding_days=terms.holding_days,
            dates=terms.earning_dates,
        )

    async def find_orders(self, order_id: str, *, source: str | None = None) -> list[OrderFacts]:
        """Find the orders with this id, at most one of each shop. The caller has checked who asks."""
        dates = self._settings.referral_settings.earning_dates
        return await self._database.read(orders.find_orders, order_id, self._database.now(), source=source, dates=dates)

    async def reassign_order(
        self, actor: Actor, order_id: str, member_id: int, *, reason: str, source: str = MAIN
    ) -> int:
        """Make an order another member's; return the correction's number. Raises NotAllowedError or CashbackError."""
        await self.require_admin(actor, f"reassign order {order_id} to {member_id}")
        await self._require_account(member_id)
        terms = self._settings.referral_settings
        return await self._database.write(
            corrections.reassign,
            order_id,
            member_id,
            source=source,
            reason=_reason(reason),
            actor=str(actor),
            now=self._database.now(),
            rate_ppm=terms.rate_ppm,
            dates=terms.earning_dates,
        )

    async def correct_order_amount(
        self, actor: Actor, order_id: str, amount_cents: int, *, reason: str, source: str = MAIN
    ) -> int:
        """Correct an order's amount; return the correction's number. Raises NotAllowedError or CashbackError."""
        await self.require_admin(actor, f"correct the amount of order {order_id} to {dollars(amount_cents)}")
        return await self._database.write(
            corrections.correct_amount,
            order_id,
            amount_cents,
            source=source,
            reason=_reason(reason),
            actor=str(actor),
            now=self._database.now(),
            dates=self._settings.referral_settings.earning_dates,
        )

    async def _require_account(self, member_id: int) -> None:
        """Raise OrderRefusedError for an id that the ledger does not know and no Discord account can have."""
        strangers = await self._database.read(people.strangers_among, [member_id], self._database.now())
        if member_id in strangers:
            message = f"{member_id} {strangers[member_id]}, and the ledger does not know it; check the id."
            raise OrderRefusedError(message)


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if not 0 < len(text) <= MAX_REASON_LENGTH:
        raise CashbackError(f"The reason has {len(text)} characters; give one of 1 to {MAX_REASON_LENGTH}.")
    return text
