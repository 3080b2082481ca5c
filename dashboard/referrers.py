"""Referrers: what they have pending and were paid, who is barred, and of one of them why not all is paid."""

from typing import Any, Final

from aiohttp import web

from dashboard.pages import number_in, page
from dashboard.snapshot import Snapshot
from database import Database, browsing, pending, referrals
from database.browsing import ReferrerFilter
from pipeline.money import dollars
from settings import Settings

ON_A_PAGE: Final = 50
NEWEST_SHOWN: Final = 25


class Referrers:
    """Shows referrers."""

    def __init__(self, database: Database, snapshot: Snapshot, settings: Settings) -> None:
        """Take the ledger for reading, the sums, and the settings."""
        self._database = database
        self._snapshot = snapshot
        self._min_payout_cents = settings.referral_settings.min_payout_cents

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/referrers", self.show_all), web.get("/referrers/{id}", self.show)]

    async def show_all(self, request: web.Request) -> web.StreamResponse:
        """List referrers in the order of their ids, or go to the one whose id is sought."""
        sought = number_in(request, "id")
        if sought:
            raise web.HTTPFound(f"/referrers/{sought}")
        chosen = request.query.get("show", "")
        which = ReferrerFilter(chosen) if chosen in list(ReferrerFilter) else ReferrerFilter.PENDING
        found = await self._database.read(
            browsing.referrers_page,
            self._database.now(),
            which=which,
            after_referrer_id=number_in(request, "after"),
            limit=ON_A_PAGE,
        )
        return page(
            request,
            "referrers.html",
            now=self._database.now(),
            which=which,
            found=found,
            glance=await self._snapshot.get(),
        )

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one referrer."""
        return page(request, "referrer.html", **await self._shown(request))

    async def _shown(self, request: web.Request) -> dict[str, Any]:
        referrer_id = number_in(request, "id")
        read = self._database.read
        now = self._database.now()
        owing = await self._database.get_pending_cashback_for_user(referrer_id)
        beside = await read(pending.held_and_owed, now, referrer_id=referrer_id)
        return {
            "now": now,
            "referrer_id": referrer_id,
            "stats": await self._database.get_referral_stats(referrer_id),
            "pending": owing,
            "beside": beside,
            "balance_cents": await read(browsing.balance_of, referrer_id),
            "referred_by": await read(referrals.referrer_of, referrer_id),
            "reasons": self._why_not_paid(owing, beside),
            "found": await read(
                browsing.referrals_page, referrer_id, after_id=number_in(request, "after"), limit=ON_A_PAGE
            ),
            "payouts": await read(browsing.payouts_to, referrer_id, limit=NEWEST_SHOWN),
            "transactions": await read(browsing.transactions_of, referrer_id, limit=NEWEST_SHOWN),
        }

    def _why_not_paid(self, owing: dict[str, Any], beside: dict[str, int]) -> list[str]:
        """Say why the next batch would not pay this referrer all that was earned; nothing where it would."""
        if owing["is_blacklisted"]:
            return ["This member is blacklisted from referral cashback."]
        reasons = []
        if beside["held_cents"]:
            reasons.append(f"{dollars(beside['held_cents'])} are held: their purchases are too young to be paid for.")
        if beside["owed_cents"]:
            reasons.append(f"{dollars(beside['owed_cents'])} were paid and refunded since; new earnings go against it.")
        if 0 < owing["pending_cents"] < self._min_payout_cents:
            reasons.append(f"What is pending is below the smallest payout ({dollars(self._min_payout_cents)}).")
        if not owing["pending_cents"] and not reasons:
            reasons.append("Nothing is pending: all that the referrals have earned is paid, or they earned nothing.")
        return reasons
