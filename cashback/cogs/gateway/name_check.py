"""Keeps the names and avatars of the ledger's people fresh, for the dashboard."""

import base64
import logging
from typing import ClassVar, Final

import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway.people_check import PEOPLE_AT_ONCE, PeopleCheck
from cashback.database import Database
from cashback.database.queries import member_names
from cashback.database.queries.member_names import MemberName
from cashback.domain.errors import CashbackError

AVATAR_PIXELS: Final = 32
LARGEST_AVATAR_BYTES: Final = 16_384

logger = logging.getLogger(__name__)


class NameCheck(PeopleCheck):
    """Asks for the names of people without a fresh one."""

    title: ClassVar = "name check"
    most_requests: ClassVar = 50

    async def _next_people(self, after_id: int) -> list[int]:
        return await self._database.read(
            member_names.to_ask, now=self._database.now(), after_id=after_id, limit=PEOPLE_AT_ONCE
        )

    async def _check_people(self, people: list[int]) -> None:
        found = await self._query_members(people)
        known = await self._database.read(member_names.find, people)
        for user_id in people:
            if user_id in found:
                await note_name(self._database, found[user_id], known.get(user_id))
            else:
                # The last name stays; it is asked for again later.
                name = known[user_id].name if user_id in known else None
                await self._database.write(member_names.keep, user_id, name, now=self._database.now())


async def note_name(database: Database, person: discord.User | discord.Member, known: MemberName | None) -> None:
    """Record a person's name and avatar; the picture is loaded only if it is another than before."""
    avatar = person.avatar
    key, picture = avatar.key if avatar else None, None
    if known is not None and known.has_avatar and known.avatar_key == key:
        picture = await database.read(member_names.avatar, person.id)
    elif avatar is not None:
        picture = await _loaded(avatar)
    await database.write(
        member_names.keep, person.id, person.name, now=database.now(), avatar_key=key, avatar_base64=picture
    )


async def note_name_if_old(database: Database, person: discord.User | discord.Member) -> None:
    """Record the name of a person at a command, if it is new or was seen long ago. The command never fails of it."""
    try:
        known = (await database.read(member_names.find, [person.id])).get(person.id)
        if known is None or known.name != person.name or known.seen_at < database.now() - member_names.FRESH:
            await note_name(database, person, known)
    except CashbackError as error:
        logger.info("the name of %d was not recorded: %s", person.id, error)


async def _loaded(avatar: discord.Asset) -> str | None:
    try:
        small = avatar.replace(size=AVATAR_PIXELS, format="png", static_format="png")
        picture = await small.read()
    except (*DISCORD_FAILURES, ValueError, TypeError):
        return None
    return base64.b64encode(picture).decode() if len(picture) <= LARGEST_AVATAR_BYTES else None
