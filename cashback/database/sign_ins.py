"""Signing in to the dashboard: links that work once, and sessions. What opens a door is kept as a digest only."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from cashback.database.audit_log import add_entry
from cashback.database.tables import dashboard_links, dashboard_sessions

KEPT: Final = timedelta(days=7)
"""How long a link or a session that is over is remembered; the audit log remembers it for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that is open. `user_id` is None for whoever sits at the program's own terminal."""

    digest: str
    user_id: int | None
    expires_at: datetime


def issue_link(
    connection: Connection, digest: str, *, user_id: int | None, actor: str, now: datetime, expires_at: datetime
) -> None:
    """Keep a new link, and forget those that are long over."""
    connection.execute(delete(dashboard_links).where(dashboard_links.c.expires_at < now - KEPT))
    connection.execute(
        insert(dashboard_links).values(digest=digest, user_id=user_id, issued_at=now, expires_at=expires_at)
    )
    add_entry(connection, at=now, actor=actor, action="dashboard_link_issued")


def redeem_link(connection: Connection, digest: str, *, now: datetime) -> tuple[bool, int | None]:
    """Use up a link that is in time; return whether that was so, and whose it is.

    A link that is known but used or over goes into the audit log: somebody else may hold it.
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
    """Keep a new session, and forget those that are long over."""
    connection.execute(delete(dashboard_sessions).where(dashboard_sessions.c.expires_at < now - KEPT))
    connection.execute(
        insert(dashboard_sessions).values(digest=digest, user_id=user_id, began_at=now, expires_at=expires_at)
    )
    add_entry(connection, at=now, actor=actor, action="signed_in")


def find_session(connection: Connection, digest: str, *, now: datetime) -> Session | None:
    """Find a session that is open now."""
    found = _open(connection, now=now, digest=digest)
    return found[0] if found else None


def open_sessions(connection: Connection, *, now: datetime) -> list[Session]:
    """List the sessions that are open now."""
    return _open(connection, now=now)


def _open(connection: Connection, *, now: datetime, digest: str | None = None) -> list[Session]:
    query = select(dashboard_sessions.c.digest, dashboard_sessions.c.user_id, dashboard_sessions.c.expires_at).where(
        dashboard_sessions.c.ended_at.is_(None), dashboard_sessions.c.expires_at > now
    )
    if digest is not None:
        query = query.where(dashboard_sessions.c.digest == digest)
    return [Session(**row) for row in connection.execute(query).mappings()]


def end_session(connection: Connection, digest: str, *, actor: str, action: str, now: datetime) -> bool:
    """End a session; False where it was over already. `action` is what the audit log calls it."""
    ended = connection.execute(
        update(dashboard_sessions)
        .where(dashboard_sessions.c.digest == digest, dashboard_sessions.c.ended_at.is_(None))
        .where(dashboard_sessions.c.expires_at > now)
        .values(ended_at=now)
    )
    if ended.rowcount:
        add_entry(connection, at=now, actor=actor, action=action)
    return bool(ended.rowcount)
