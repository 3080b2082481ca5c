"""Names and avatars of members, as the bot last saw them on Discord, with the moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, or_, select

from cashback.database.bulk import among, is_among
from cashback.database.dialect import insert_or_replace
from cashback.database.tables import member_names, users

FRESH: Final = timedelta(days=7)
"""A name that was seen longer ago is asked for again."""

LONGEST_NAME: Final = 64
_LAST_LETTER: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberName:
    """A member's name on Discord. None if Discord did not know the member in the servers; `has_avatar`: a picture."""

    user_id: int
    name: str | None
    avatar_key: str | None
    has_avatar: bool
    seen_at: datetime


def keep(
    connection: Connection,
    user_id: int,
    name: str | None,
    *,
    now: datetime,
    avatar_key: str | None = None,
    avatar_base64: str | None = None,
) -> None:
    """Record a member's name as it is now, and its picture if it has one."""
    cut = "".join(each for each in name if each.isprintable())[:LONGEST_NAME].strip() if name else None
    values = {
        "name": cut or None,
        "searched_name": cut.lower() if cut else None,
        "avatar_key": avatar_key,
        "avatar_base64": avatar_base64,
        "seen_at": now,
    }
    connection.execute(insert_or_replace(connection, member_names, user_id=user_id, **values))


def find(connection: Connection, user_ids: Iterable[int]) -> dict[int, MemberName]:
    """Return the recorded names of these members."""
    query = select(
        member_names.c.user_id,
        member_names.c.name,
        member_names.c.avatar_key,
        member_names.c.avatar_base64.is_not(None).label("has_avatar"),
        member_names.c.seen_at,
    ).where(is_among(member_names.c.user_id))
    return {row["user_id"]: MemberName(**row) for row in connection.execute(query, among(user_ids)).mappings()}


def avatar(connection: Connection, user_id: int) -> str | None:
    """Return a member's picture as base64; None if there is none."""
    query = select(member_names.c.avatar_base64).where(member_names.c.user_id == user_id)
    return connection.scalars(query).one_or_none()


def begins_with(connection: Connection, text: str, *, limit: int) -> list[int]:
    """List the members with names that begin with a text, in the order of the names."""
    wanted = text.lower().removeprefix("@")
    name = member_names.c.searched_name
    query = select(member_names.c.user_id).where(name >= wanted, name < wanted + _LAST_LETTER)
    return list(connection.scalars(query.order_by(name, member_names.c.user_id).limit(limit)))


def to_ask(connection: Connection, *, now: datetime, after_id: int, limit: int) -> list[int]:
    """List the ledger's people without a fresh name, in the order of their ids."""
    seen_at = member_names.c.seen_at
    query = (
        select(users.c.discord_id)
        .join_from(users, member_names, member_names.c.user_id == users.c.discord_id, isouter=True)
        .where(users.c.discord_id > after_id, or_(seen_at.is_(None), seen_at < now - FRESH))
    )
    return list(connection.scalars(query.order_by(users.c.discord_id).limit(limit)))
