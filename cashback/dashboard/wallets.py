"""The page of all wallets: what each holds and what is requested of it, and the newest transactions in words."""

from typing import Final

from aiohttp import web

from cashback.dashboard.pages import number_in, page
from cashback.database import Database
from cashback.database.wallets import statement

ON_A_PAGE: Final = 50
NEWEST_SHOWN: Final = 25


class WalletsPage:
    """Shows wallets. A member's page has the rest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/wallets", self.show)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show a page of wallets: largest first, or in the order of the members' ids if there are several pages."""
        read, after = self._database.read, number_in(request, "after")
        wallets = await read(statement.wallets_page, after_user_id=after, limit=ON_A_PAGE + 1)
        # All of them are on this page: largest first.
        is_sorted = not after and len(wallets) <= ON_A_PAGE
        if is_sorted:
            wallets.sort(key=lambda each: (-each.balance_cents, each.user_id))
        return await page(
            request,
            "wallets.html",
            now=self._database.now(),
            wallets=wallets[:ON_A_PAGE],
            is_sorted=is_sorted,
            next_after=wallets[ON_A_PAGE - 1].user_id if len(wallets) > ON_A_PAGE else None,
            newest=await read(statement.newest_entries, limit=NEWEST_SHOWN),
        )
