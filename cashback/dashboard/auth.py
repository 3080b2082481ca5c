"""Sessions: the member a request belongs to, and the roles that this member has at the moment."""

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
from cashback.services.sign_ins import SESSION_LIFETIME
from cashback.settings import DashboardSettings

ROLES_SECONDS: Final = 60
"""Cached roles are used to view pages for this long. Every action asks Discord again."""

ROLES_TRUSTED_SECONDS: Final = 900
"""How long a member may keep viewing when Discord does not answer."""

SWEEP_SECONDS: Final = 60

RolesOf = Callable[[int | None], Awaitable[frozenset[int]]]
"""Return a member's current roles, an empty set if it is not a member. Raises RolesUnknownError if Discord is away.

None stands for the user of the program's own terminal.
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A signed-in member: the actor, its session, whether it may act, and the token of its forms."""

    actor: Actor
    session: Session
    may_act: bool
    form_token: str


VISITOR: Final = web.RequestKey("visitor", Visitor)
"""The key of the visitor in a request."""


class SessionAuth:
    """Finds sessions by their cookie, and ends the session of a member without the role."""

    def __init__(self, service: AdminService, roles_of: RolesOf, settings: DashboardSettings) -> None:
        self._service = service
        self._roles = TtlCache(roles_of, seconds=ROLES_SECONDS)
        self._is_secure = settings.address.startswith("https:")
        # Cookies ignore ports: two dashboards on one machine need cookies of different names.
        self._cookie = "__Host-cashback" if self._is_secure else f"cashback-{settings.port}"

    async def actor_of(self, user_id: int | None, *, now: bool) -> Actor:
        """Return the actor of a member with its current roles (`now`) or roles of at most a minute ago.

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
        """Return the visitor of a request, or None if it has no open session."""
        token = request.cookies.get(self._cookie)
        session = await self._service.find_session(token) if token and token.isascii() else None
        if token is None or session is None:
            return None
        actor = await self.actor_of(session.user_id, now=now)
        if not self._service.may_view(actor):
            await self._service.end_session(actor, session)
            return None
        return Visitor(
            actor=actor, session=session, may_act=self._service.is_admin(actor), form_token=_form_token(token)
        )

    async def sign_in(self, link_token: str, response: web.Response) -> Actor:
        """Redeem a link, open a session and set its cookie on the response. Raises NotAllowedError."""
        # Our tokens are ASCII; other bytes may not even be text.
        known = link_token if link_token.isascii() else ""
        actor = await self.actor_of(await self._service.redeem_link(known), now=True)
        response.set_cookie(
            self._cookie,
            await self._service.open_session(actor),
            max_age=int(SESSION_LIFETIME.total_seconds()),
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="Strict",
        )
        return actor

    async def sign_out(self, visitor: Visitor, response: web.Response) -> None:
        """End a session and delete its cookie."""
        await self._service.sign_out(visitor.actor, visitor.session)
        response.del_cookie(self._cookie, path="/", secure=self._is_secure, httponly=True, samesite="Strict")

    async def sweep(self) -> None:
        """Check every open session once a minute: a member that lost the role loses the session without a request."""
        while True:
            await anyio.sleep(SWEEP_SECONDS)
            try:
                await self.end_lost_sessions()
            except CashbackError as error:
                logger.warning("the dashboard's sessions could not be checked: %s", error)

    async def end_lost_sessions(self) -> None:
        """Ask for the roles of every open session's member, and end the session if the member may not view pages."""
        for session in await self._service.open_sessions():
            if session.user_id is None:
                continue
            actor = await self.actor_of(session.user_id, now=True)
            if not self._service.may_view(actor):
                await self._service.end_session(actor, session)


def _form_token(session_token: str) -> str:
    """Derive the forms' token from the session's secret, which other sites cannot read."""
    return hashlib.sha256(f"form:{session_token}".encode()).hexdigest()


def is_same(token: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(token.encode(errors="surrogateescape"), other.encode(errors="surrogateescape"))
