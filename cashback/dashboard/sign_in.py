"""Signing in and out. A link shows a button, and the button signs in: who only looks at a link does not use it up."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from cashback.dashboard.auth import VISITOR, SessionAuth
from cashback.dashboard.pages import error_page, page, see_other
from cashback.dashboard.rate_limit import Limit, address_of
from cashback.database import Database
from cashback.settings import Settings

KNOCKS_PER_MINUTE: Final = 20


class SignIn:
    """The door."""

    def __init__(self, database: Database, doorman: SessionAuth, settings: Settings) -> None:
        """Take the ledger's clock, the doorman, and the settings."""
        self._database = database
        self._doorman = doorman
        self._settings = settings
        self._knocks = Limit(per_minute=KNOCKS_PER_MINUTE)

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.get("/sign-in", self.explain),
            web.get("/sign-in/{token}", self.ask),
            web.post("/sign-in/{token}", self.sign_in),
            web.post("/sign-out", self.sign_out),
        ]

    async def explain(self, request: web.Request) -> web.StreamResponse:
        """Say how to get a link."""
        return page(request, "sign_in.html", now=self._database.now(), prefix=self._settings.bot_prefix, token=None)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Show the button. Discord itself looks at links that it delivers; it presses nothing."""
        token = request.match_info["token"]
        return page(request, "sign_in.html", now=self._database.now(), prefix=self._settings.bot_prefix, token=token)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Use up the link. Too many attempts from one address are refused without a look at the link."""
        if not self._knocks.admits(address_of(request, is_proxied=self._settings.dashboard.is_proxied)):
            return error_page(request, HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts; wait a minute.")
        response = see_other("/")
        await self._doorman.sign_in(request.match_info["token"], response)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """End the session."""
        response = see_other("/sign-in")
        await self._doorman.sign_out(request[VISITOR], response)
        return response
