"""The pages of referrers: the list, and one referrer with its cashback, payouts and wallet."""

from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from cashback.dashboard import template_filters
from cashback.dashboard.auth import VISITOR
from cashback.dashboard.pages import field_of, number_in, page, page_in, see_other
from cashback.dashboard.snapshot import Snapshot
from cashback.database import Database
from cashback.database.payouts import outbox
from cashback.database.queries import browsing, earnings, members
from cashback.database.queries.browsing import ReferrerFilter
from cashback.database.queries.members import MemberAccount
from cashback.database.referral_program import pending, referrals
from cashback.database.referral_program.people import is_known
from cashback.database.wallets import statement, withdrawals
from cashback.domain.money import dollars
from cashback.domain.reason_texts import MAX_REASON_LENGTH
from cashback.services import AdminService
from cashback.settings import Settings

ON_A_PAGE: Final = 50
NEWEST_SHOWN: Final = 25


class Referrers:
    """Shows referrers."""

    def __init__(self, database: Database, service: AdminService, snapshot: Snapshot, settings: Settings) -> None:
        self._database = database
        self._service = service
        self._snapshot = snapshot
        self._min_payout_cents = settings.referral_settings.min_payout_cents

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.get("/referrers", self.show_all),
            web.get("/referrers/{id}", self.show),
            web.post("/referrers/{id}/blacklist", self.blacklist),
            web.post("/referrers/{id}/unblacklist", self.unblacklist),
            web.post("/referrers/{id}/retry-notifications", self.retry_notifications),
        ]

    async def show_all(self, request: web.Request) -> web.StreamResponse:
        """List referrers, or redirect to one if its id is given: largest first, or by id if there are several pages."""
        wanted = request.query.get("id", "").strip()
        if wanted:
            known = number_in(request, "id")
            raise web.HTTPFound(f"/referrers/{known}" if known else f"/search?q={quote(wanted)}")
        chosen = request.query.get("show", "")
        which = ReferrerFilter(chosen) if chosen in list(ReferrerFilter) else ReferrerFilter.PENDING
        after = number_in(request, "after")
        found = await self._database.read(
            browsing.referrers_page,
            self._database.now(),
            which=which,
            after_referrer_id=after,
            limit=ON_A_PAGE,
        )
        # All of them are on this page: one list, largest first, says it all.
        is_sorted = which is not ReferrerFilter.BLACKLISTED and not after and found.next_after is None
        if is_sorted:
            found.rows.sort(key=lambda row: (-row["pending_cents"], row["referrer_id"]))
        return await page(
            request,
            "referrers.html",
            now=self._database.now(),
            which=which,
            found=found,
            is_sorted=is_sorted,
            top=await self._top() if which is ReferrerFilter.PENDING and not is_sorted else (),
        )

    async def _top(self) -> list[dict[str, Any]]:
        """Return the largest pending amounts of the sums, as they are now: some may have been paid since."""
        people = [each.referrer_id for each in (await self._snapshot.get_new()).top_pending]
        found = await self._database.read(pending.pending_of, people, self._database.now())
        return sorted(found, key=lambda row: (-row["pending_cents"], row["referrer_id"]))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one referrer. Raises HTTPNotFound if the ledger does not know this member."""
        return await page(request, "referrer.html", **await self._shown(request))

    async def _shown(self, request: web.Request) -> dict[str, Any]:
        referrer_id = number_in(request, "id")
        if not referrer_id:
            raise web.HTTPNotFound(reason="This is not a Discord id")
        if not await self._database.read(is_known, referrer_id):
            raise web.HTTPNotFound(reason=f"The ledger knows no member {referrer_id}: no referral, purchase or payout")
        page_number = page_in(request)
        now, read = self._database.now(), self._database.read
        account = await read(members.standing, referrer_id, now)
        listed = await read(
            members.referrals_page, referrer_id, now, limit=ON_A_PAGE + 1, offset=(page_number - 1) * ON_A_PAGE
        )
        return {
            "now": now,
            "account": account,
            "referred_by": await read(referrals.referrer_of, referrer_id),
            "reasons": why_not_paid(account, min_payout_cents=self._min_payout_cents),
            "referrals": listed[:ON_A_PAGE],
            "next_page": page_number + 1 if len(listed) > ON_A_PAGE else None,
            "purchases": await read(earnings.purchases_page, referrer_id, now, limit=NEWEST_SHOWN),
            "payouts": await read(members.past_payouts, referrer_id, limit=NEWEST_SHOWN),
            "reversed": await read(members.reversed_payouts, referrer_id, limit=NEWEST_SHOWN),
            "unsent": await read(outbox.count_unsent_to, referrer_id),
            "withdrawals": await read(withdrawals.newest, limit=NEWEST_SHOWN, user_id=referrer_id),
            "transactions": (await read(statement.wallet_of, referrer_id, limit=NEWEST_SHOWN)).entries,
        }

    async def blacklist(self, request: web.Request) -> web.StreamResponse:
        """Blacklist a member."""
        reason = (await field_of(request, "reason"))[:MAX_REASON_LENGTH] or None
        await self._service.blacklist(request[VISITOR].actor, number_in(request, "id"), reason=reason)
        return see_other(f"/referrers/{number_in(request, 'id')}")

    async def unblacklist(self, request: web.Request) -> web.StreamResponse:
        """Remove a member from the blacklist."""
        await self._service.unblacklist(request[VISITOR].actor, number_in(request, "id"))
        return see_other(f"/referrers/{number_in(request, 'id')}")

    async def retry_notifications(self, request: web.Request) -> web.StreamResponse:
        """Queue a member's failed and undeliverable direct messages again."""
        await self._service.retry_notifications(request[VISITOR].actor, user_id=number_in(request, "id"))
        return see_other(f"/referrers/{number_in(request, 'id')}")


def why_not_paid(account: MemberAccount, *, min_payout_cents: int) -> list[str]:
    """Return the reasons why the next batch does not pay everything that a referrer earned, besides a blacklisting."""
    reasons = []
    if account.absence is not None:
        reasons.append(
            f"The member is absent ({template_filters.state(account.absence)}); see the setting leaver_policy."
        )
    if account.held_cents:
        until = template_filters.moment(account.held_until)
        reasons.append(f"{dollars(account.held_cents)} are in the holding period, until {until}.")
    if account.owed_cents:
        reasons.append(
            f"{dollars(account.owed_cents)} were paid and refunded later; new earnings are set off against it."
        )
    if 0 < account.pending_cents < min_payout_cents:
        reasons.append(f"The pending cashback is below the minimum payout, {dollars(min_payout_cents)}; it rolls over.")
    if not account.pending_cents and not reasons:
        reasons.append("No cashback is pending: everything earned is paid, or nothing was earned.")
    return reasons
