"""Sign-in to the dashboard: authorization, single-use links, and sessions."""

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from cashback.database import sign_ins
from cashback.database.sign_ins import Session
from cashback.domain.errors import NotAllowedError
from cashback.services.actors import Actor
from cashback.services.base import Service

LINK_LIFETIME: Final = timedelta(minutes=5)
SESSION_LIFETIME: Final = timedelta(hours=12)
TOKEN_BYTES: Final = 32


class SignIns(Service):
    """Signs admins and viewers in, each link once."""

    @property
    def has_dashboard(self) -> bool:
        """Whether there is a dashboard to sign in to."""
        return self._settings.dashboard.enabled

    def may_view(self, actor: Actor) -> bool:
        """Return whether an actor may view the dashboard: with the right to pay, or with the viewers' role."""
        return self.is_admin(actor) or self._settings.role_ids.dashboard_viewer in actor.role_ids

    async def require_viewer(self, actor: Actor, action: str) -> None:
        """Raise NotAllowedError if the actor may not view, and record the attempt in the audit log."""
        if not self.may_view(actor):
            await self._note_refusal(actor, action)
            raise NotAllowedError("Only an admin or a viewer may do this.")

    async def issue_link(self, actor: Actor) -> str:
        """Return the address that signs this actor in, once, within five minutes. Raises NotAllowedError."""
        await self.require_viewer(actor, "sign in to the dashboard")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = self._database.now()
        await self._database.write(
            sign_ins.issue_link,
            _digest(token),
            user_id=actor.user_id,
            actor=str(actor),
            now=now,
            expires_at=now + LINK_LIFETIME,
        )
        return f"{self._settings.dashboard.address}/sign-in/{token}"

    async def redeem_link(self, token: str) -> int | None:
        """Redeem a link; return its actor. Raises NotAllowedError if it is used, expired, or unknown."""
        in_time, user_id = await self._database.write(sign_ins.redeem_link, _digest(token), now=self._database.now())
        if not in_time:
            raise NotAllowedError("This link was already used or is older than five minutes. Ask for a new one.")
        return user_id

    async def open_session(self, actor: Actor) -> str:
        """Open a session and return its token. Raises NotAllowedError."""
        await self.require_viewer(actor, "sign in to the dashboard")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = self._database.now()
        await self._database.write(
            sign_ins.open_session,
            _digest(token),
            user_id=actor.user_id,
            actor=str(actor),
            now=now,
            expires_at=now + SESSION_LIFETIME,
        )
        return token

    async def find_session(self, token: str) -> Session | None:
        """Find the open session of a token."""
        return await self._database.read(sign_ins.find_session, _digest(token), now=self._database.now())

    async def open_sessions(self) -> list[Session]:
        """List the open sessions."""
        return await self._database.read(sign_ins.open_sessions, now=self._database.now())

    async def sign_out(self, actor: Actor, session: Session) -> None:
        """End a session at its owner's request."""
        await self._end(actor, session, "signed_out")

    async def end_session(self, actor: Actor, session: Session) -> None:
        """End a session because its owner may no longer view the dashboard."""
        await self._end(actor, session, "session_ended")

    async def _end(self, actor: Actor, session: Session, action: str) -> None:
        await self._database.write(
            sign_ins.end_session, session.digest, actor=str(actor), action=action, now=self._database.now()
        )


def _digest(token: str) -> str:
    """Hash a token: it is random and long, so a plain digest reveals nothing about it."""
    return hashlib.sha256(token.encode()).hexdigest()
