"""Keeps the names and avatars of the ledger's people fresh, for the dashboard.

It needs no privileged intent: Discord answers requests for up to a hundred ids at a time.
"""

import base64
import logging
from typing import Final

import anyio
import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway.gateway_status import GatewayStatus
from cashback.cogs.gateway.running_check import GUILDS_SECONDS
from cashback.database import Database
from cashback.database.queries import member_names
from cashback.database.queries.member_names import MemberName
from cashback.domain.errors import CashbackError

PEOPLE_AT_ONCE: Final = 100
PAUSE_SECONDS: Final = 1
"""Between two requests: Discord accepts 120 a minute on the gateway, and the client needs some of them."""

REQUESTS_PER_CHECK: Final = 50
EVERY_SECONDS: Final = 3600
AVATAR_PIXELS: Final = 32
LARGEST_AVATAR_BYTES: Final = 16_384

logger = logging.getLogger(__name__)


class NameCheck:
    """Asks for the names of people without a fresh one, at each start and every hour. Run `run` in a task group."""

    def __init__(
        self, client: discord.Client, gateway_status: GatewayStatus, database: Database, guild_ids: tuple[int, ...]
    ) -> None:
        """Ask the servers `guild_ids`, or all servers of the bot if it is empty."""
        self._client = client
        self._gateway_status = gateway_status
        self._database = database
        self._guild_ids = guild_ids

    async def run(self) -> None:
        """Check until cancelled. If Discord or the ledger does not answer, the next check asks again."""
        while True:
            await self._gateway_status.wait_online()
            await self._gateway_status.wait_guilds_known(GUILDS_SECONDS)
            try:
                await self.check()
            except (*DISCORD_FAILURES, RuntimeError) as error:
                logger.info("the names were not all read: %s", str(error) or type(error).__name__)
            await anyio.sleep(EVERY_SECONDS)

    async def check(self) -> None:
        """Ask for the names of the next people without a fresh one."""
        after_id = 0
        for _ in range(REQUESTS_PER_CHECK):
            people = await self._database.read(
                member_names.to_ask, now=self._database.now(), after_id=after_id, limit=PEOPLE_AT_ONCE
            )
            if not people:
                return
            if after_id:
                await anyio.sleep(PAUSE_SECONDS)
            await self._ask(people)
            after_id = people[-1]

    async def _ask(self, people: list[int]) -> None:
        guilds = [guild for guild in self._client.guilds if not self._guild_ids or guild.id in self._guild_ids]
        found: dict[int, discord.Member] = {}
        for guild in guilds:
            members = await guild.query_members(user_ids=people, limit=PEOPLE_AT_ONCE, cache=False)
            found.update((member.id, member) for member in members)
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
