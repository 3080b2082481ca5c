"""Sign-ins to the dashboard: single-use links, and sessions. Their secrets are stored as digests only."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from cashback.database.audit_log import add_entry
from cashback.database.tables import dashboard_links, dashboard_sessions

KEPT: Final = timedelta(days=7)
"""How long an expired link or session is kept; the audit log keeps it permanently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open session. `user_id` is None for the user of the program's own terminal."""

    digest: str
    user_id: int | None
    expires_at: datetime


def issue_link(
    connection: Connection, digest: str, *, user_id: int | None, actor: str, now: datetime, expires_at: datetime
) -> None:
    """Store a new link, and delete those that expired long ago."""
    connection.execute(delete(dashboard_links).where(dashboard_links.c.expires_at < now - KEPT))
    connection.execute(
        insert(dashboard_links).values(digest=digest, user_id=user_id, issued_at=now, expires_at=expires_at)
    )
    add_entry(connection, at=now, actor=actor, action="dashboard_link_issued")


def redeem_link(connection: Connection, digest: str, *, now: datetime) -> tuple[bool, int | None]:
    """Redeem a link; return whether it was valid, and its user.

    A known link that is used or expired is recorded in the audit log: it may be in the wrong hands.
    """
    used = connection.execute(
        update(dashboard_links)
        .where(dashboard_links.c.digest == digest, dashboard_links.c.used_at.is_(None))
        .where(dashboard_links.c.expires_at > now)
        .values(used_at=now)
        .returning(dashboard_links.c.user_id)
    ).one_or_none()
    if used is not None:
        return True, used.user_id
    known = connection.execute(select(dashboard_links).where(dashboard_links.c.digest == digest)).one_or_none()
    if known is not None:
        details = {"wanted": "sign in with a link that is used or over", "user_id": known.user_id}
        add_entry(connection, at=now, actor="dashboard", action="refused", details=details)
    return False, None


def open_session(
    connection: Connection, digest: str, *, user_id: int | None, actor: str, now: datetime, expires_at: datetime
) -> None:
    """Store a new session, and delete those that expired long ago."""
    connection.execute(delete(dashboard_sessions).where(dashboard_sessions.c.expires_at < now - KEPT))
    connection.execute(
        insert(dashboard_sessions).values(digest=digest, user_id=user_id, began_at=now, expires_at=expires_at)
    )
    add_entry(connection, at=now, actor=actor, action="signed_in")


def find_session(connection: Connection, digest: str, *, now: datetime) -> Session | None:
    """Find an open session."""
    found = _open(connection, now=now, digest=digest)
    return found[0] if found else None


def open_sessions(connection: Connection, *, now: datetime) -> list[Session]:
    """List the open sessions."""
    return _open(connection, now=now)


def _open(connection: Connection, *, now: datetime, digest: str | None = None) -> list[Session]:
    query = select(dashboard_sessions.c.digest, dashboard_sessions.c.user_id, dashboard_sessions.c.expires_at).where(
        dashboard_sessions.c.ended_at.is_(None), dashboard_sessions.c.expires_at > now
    )
    if digest is not None:
        query = query.where(dashboard_sessions.c.digest == digest)
    return [Session(**row) for row in connection.execute(query).mappings()]


def end_session(connection: Connection, digest: str, *, actor: str, action: str, now: datetime) -> bool:
    """End a session; False if it was already over. `action` is its name in the audit log."""
    ended = connection.execute(
        update(dashboard_sessions)
        .where(dashboard_sessions.c.digest == digest, dashboard_sessions.c.ended_at.is_(None))
        .where(dashboard_sessions.c.expires_at > now)
        .values(ended_at=now)
    )
    if ended.rowcount:
        add_entry(connection, at=now, actor=actor, action=action)
    return bool(ended.rowcount)
