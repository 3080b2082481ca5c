"""What the checks of people share: at each start and every hour, Discord is asked for up to a hundred ids at a time.

No privileged intent is needed for it.
"""

import logging
import math
from abc import ABC, abstractmethod
from typing import ClassVar, Final

import anyio
import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway.gateway_status import GatewayStatus
from cashback.cogs.gateway.running_check import GUILDS_SECONDS
from cashback.database import Database

PEOPLE_AT_ONCE: Final = 100
PAUSE_SECONDS: Final = 1
"""Between two requests: Discord accepts 120 a minute on the gateway, and the client needs some of them."""

EVERY_SECONDS: Final = 3600

logger = logging.getLogger(__name__)


class PeopleCheck(ABC):
    """Asks the servers for people that the ledger names. Run `run` in a task group."""

    title: ClassVar[str]
    most_requests: ClassVar[float] = math.inf
    """In one check; the next one asks for the others."""

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
                logger.info("the %s was cut short: %s", self.title, str(error) or type(error).__name__)
            await anyio.sleep(EVERY_SECONDS)

    async def check(self) -> None:
        """Check people once, a hundred at a time, in the order of their ids."""
        after_id = requests = 0
        while requests < self.most_requests and (people := await self._next_people(after_id)):
            if requests:
                await anyio.sleep(PAUSE_SECONDS)
            await self._check_people(people)
            after_id, requests = people[-1], requests + 1

    @abstractmethod
    async def _next_people(self, after_id: int) -> list[int]:
        """Read from the ledger the next `PEOPLE_AT_ONCE` people with a larger id, by their id."""

    @abstractmethod
    async def _check_people(self, people: list[int]) -> None:
        """Ask Discord for these people, and record what it answers."""

    def _guilds(self) -> list[discord.Guild]:
        return [guild for guild in self._client.guilds if not self._guild_ids or guild.id in self._guild_ids]

    async def _query_members(self, people: list[int]) -> dict[int, discord.Member]:
        """Ask every server for these people; return the ones found, by id."""
        found: dict[int, discord.Member] = {}
        for guild in self._guilds():
            members = await guild.query_members(user_ids=people, limit=PEOPLE_AT_ONCE, cache=False)
            found.update((member.id, member) for member in members)
        return found
