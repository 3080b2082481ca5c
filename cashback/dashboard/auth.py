"""The doorman: whose session a request carries, and which roles that person has at this moment."""

import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio
from aiohttp import web

from cashback.dashboard.ttl_cache import TtlCache
from cashback.database.sign_ins import Session
from cashback.domain.errors import CashbackError, RolesUnknownError
from cashback.services import Actor, AdminService, Source
from cashback.settings import DashboardSettings

ROLES_SECONDS: Final = 60
"""How old the roles may be by which somebody looks. Whoever acts has them asked for anew."""

ROLES_TRUSTED_SECONDS: Final = 900
"""How long somebody goes on looking while nobody can be asked for roles."""

SWEEP_SECONDS: Final = 60
SESSION_SECONDS: Final = 12 * 3600

RolesOf = Callable[[int | None], Awaitable[frozenset[int]]]
"""Answers the roles that a member has now; no roles for who is no member. Raises RolesUnknownError where nobody knows.

None stands for whoever sits at the program's own terminal.
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who looks, with the session, what may be done, and the token that this person's forms carry."""

    actor: Actor
    session: Session
    may_act: bool
    form_token: str


VISITOR: Final = web.RequestKey("visitor", Visitor)
"""Where a request carries who makes it."""


class SessionAuth:
    """Knows sessions by their cookie. A session whose owner may not look any more is ended."""

    def __init__(self, service: AdminService, roles_of: RolesOf, settings: DashboardSettings) -> None:
        """Take the service, who knows the roles, and where people reach the dashboard."""
        self._service = service
        self._roles = TtlCache(roles_of, seconds=ROLES_SECONDS)
        self._is_secure = settings.address.startswith("https:")
        # Cookies know no ports: two dashboards on one machine have a cookie each.
        self._cookie = "__Host-cashback" if self._is_secure else f"cashback-{settings.port}"

    async def actor_of(self, user_id: int | None, *, now: bool) -> Actor:
        """Make the actor of a person, with the roles of this moment (`now`) or those of a minute ago at most.

        Raises RolesUnknownError.
        """
        try:
            roles = await (self._roles.renew(user_id) if now else self._roles.get(user_id))
        except RolesUnknownError:
            known = self._roles.peek(user_id, within_seconds=ROLES_TRUSTED_SECONDS)
            if now or known is None:
                raise
            roles = known
        return Actor(source=Source.DASHBOARD, user_id=user_id, role_ids=roles)

    async def visitor_of(self, request: web.Request, *, now: bool) -> Visitor | None:
        """Find whose session a request carries; None where it carries none that is open."""
        token = request.cookies.get(self._cookie)
        session = await self._service.find_session(token) if token else None
        if token is None or session is None:
            return None
        actor = await self.actor_of(session.user_id, now=now)
        if not self._service.may_view(actor):
            await self._service.end_session(actor, session)
            return None
        return Visitor(
            actor=actor, session=session, may_act=self._service.may_pay(actor), form_token=_form_token(token)
        )

    async def sign_in(self, link_token: str, response: web.Response) -> Actor:
        """Use up a link and open a session, whose cookie goes with the response. Raises NotAllowedError."""
        actor = await self.actor_of(await self._service.redeem_link(link_token), now=True)
        response.set_cookie(
            self._cookie,
            await self._service.open_session(actor),
            max_age=SESSION_SECONDS,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="Strict",
        )
        return actor

    async def sign_out(self, visitor: Visitor, response: web.Response) -> None:
        """End a session and take its cookie back."""
        await self._service.sign_out(visitor.actor, visitor.session)
        response.del_cookie(self._cookie, path="/", secure=self._is_secure, httponly=True, samesite="Strict")

    async def sweep(self) -> None:
        """End, now and for ever, the sessions of members who lost the role: they need not come back to lose it."""
        while True:
            await anyio.sleep(SWEEP_SECONDS)
            try:
                await self.end_lost_sessions()
            except CashbackError as error:
                logger.warning("the dashboard's sessions were not looked at: %s", error)

    async def end_lost_sessions(self) -> None:
        """Ask for the roles of everyone with an open session, and end those of who may not look any more."""
        for session in await self._service.open_sessions():
            if session.user_id is None:
                continue
            actor = await self.actor_of(session.user_id, now=True)
            if not self._service.may_view(actor):
                await self._service.end_session(actor, session)


def _form_token(session_token: str) -> str:
    """Derive what forms carry from the session's secret, which no other site can read."""
    return hashlib.sha256(f"form:{session_token}".encode()).hexdigest()


def is_same(token: str, other: str) -> bool:
    """Compare two secrets in a time that tells nothing of them."""
    return hmac.compare_digest(token.encode(), other.encode())
