"""Collects the facts about one member from the ledger and the calendar."""

from datetime import datetime
from typing import Any, Final

from cashback.cogs.texts.history_embeds import PURCHASES_PER_PAGE
from cashback.cogs.texts.member_embeds import REFERRALS_PER_PAGE, Facts, ProgramTerms
from cashback.database import Database
from cashback.database.queries import earnings, members
from cashback.database.queries.earnings import PurchaseFacts
from cashback.database.referral_program import preferences, referrals
from cashback.database.schedule import schedule, slots
from cashback.database.wallets import statement
from cashback.domain.withdrawals import Wallet

PAYOUTS_SHOWN: Final = 5
ENTRIES_SHOWN: Final = 10
REFUNDS_SHOWN: Final = 3


class MemberFacts:
    """Reads facts about a member; it changes nothing."""

    def __init__(self, database: Database, terms: ProgramTerms) -> None:
        self.terms = terms
        self._database = database

    async def account(self, user_id: int) -> members.MemberAccount:
        """Return a member's account."""
        return await self._database.read(members.standing, user_id, self._database.now())

    async def wallet(self, user_id: int) -> Wallet:
        """Return a member's wallet with its newest entries."""
        return await self._database.read(statement.wallet_of, user_id, limit=ENTRIES_SHOWN)

    async def page(self, user_id: int, number: int) -> list[dict[str, Any]]:
        """Return a page of a member's referrals; the first page is 0."""
        return await self._database.read(
            members.referrals_page,
            user_id,
            self._database.now(),
            limit=REFERRALS_PER_PAGE,
            offset=number * REFERRALS_PER_PAGE,
        )

    async def purchases(self, user_id: int, number: int) -> list[PurchaseFacts]:
        """Return a page of the purchases of a member's referrals; the first page is 0."""
        return await self._database.read(
            earnings.purchases_page,
            user_id,
            self._database.now(),
            limit=PURCHASES_PER_PAGE,
            offset=number * PURCHASES_PER_PAGE,
        )

    async def purchase_pages(self, user_id: int) -> int:
        """Return the number of those pages, at least 1."""
        count = await self._database.read(earnings.count_purchases, user_id)
        return max(1, -(-count // PURCHASES_PER_PAGE))

    async def orders(self, user_id: int, order_id: str) -> list[PurchaseFacts]:
        """Find an order of a member, or of their referrals."""
        return await self._database.read(earnings.orders_named, user_id, order_id, self._database.now())

    async def facts(self, user_id: int) -> Facts:
        """Return all facts about a member."""
        read = self._database.read
        return Facts(
            account=await self.account(user_id),
            payouts=await read(members.past_payouts, user_id, limit=PAYOUTS_SHOWN),
            refunds=await read(members.taken_back, user_id, limit=REFUNDS_SHOWN),
            reversals=await read(members.reversed_payouts, user_id, limit=REFUNDS_SHOWN),
            referrer_id=await read(referrals.referrer_of, user_id),
            wants_payout_dm=await read(preferences.wants_payout_dm, user_id),
            next_payout_at=await self.next_payout_at(),
        )

    async def next_payout_at(self) -> datetime | None:
        """Return the time of the next weekly batch; None if the schedule is off or paused."""
        state = await self._database.read(schedule.find_state)
        if state is None or state.paused_by is not None:
            return None
        return next(iter(await self._database.read(slots.coming, now=self._database.now(), count=1)), None)
