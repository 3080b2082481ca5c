"""Signing in and out. A link shows a button, and the button signs in, so that a preview does not use up the link."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from cashback.dashboard.auth import VISITOR, SessionAuth
from cashback.dashboard.client_address import address_of
from cashback.dashboard.form_origin import is_own_form
from cashback.dashboard.pages import error_page, page, see_other
from cashback.dashboard.rate_limit import RateLimit
from cashback.database import Database
from cashback.settings import Settings

ATTEMPTS_PER_MINUTE: Final = 20


class SignIn:
    """The pages to sign in and out."""

    def __init__(self, database: Database, session_auth: SessionAuth, settings: Settings) -> None:
        self._database = database
        self._session_auth = session_auth
        self._settings = settings
        self._attempts = RateLimit(per_minute=ATTEMPTS_PER_MINUTE)

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.get("/sign-in", self.explain),
            web.get("/sign-in/{token}", self.ask),
            web.post("/sign-in/{token}", self.sign_in),
            web.post("/sign-out", self.sign_out),
        ]

    async def explain(self, request: web.Request) -> web.StreamResponse:
        """Explain how to get a link."""
        return await page(
            request, "sign_in.html", now=self._database.now(), prefix=self._settings.bot_prefix, token=None
        )

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Show the button. Discord loads the links that it delivers, but presses no button."""
        token = request.match_info["token"]
        shown = await page(
            request, "sign_in.html", now=self._database.now(), prefix=self._settings.bot_prefix, token=token
        )
        # With no-referrer a browser sends the form with the origin "null"; strict-origin keeps the token out as well.
        shown.headers["Referrer-Policy"] = "strict-origin"
        return shown

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Redeem the link. After too many attempts an address is refused without a check of the link."""
        if not self._attempts.admits(address_of(request, trusted_proxies=self._settings.dashboard.proxies)):
            return await error_page(
                request, HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts to sign in; wait a minute."
            )
        if not is_own_form(request, self._settings.dashboard):
            return await error_page(
                request, HTTPStatus.FORBIDDEN, "This form came from another site. Open the link again."
            )
        response = see_other("/")
        await self._session_auth.sign_in(request.match_info["token"], response)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """End the session."""
        response = see_other("/sign-in")
        await self._session_auth.sign_out(request[VISITOR], response)
        return response
