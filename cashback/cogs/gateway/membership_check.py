"""Checks which members with unpaid cashback have left the server, and which are back.

It needs no privileged intent: Discord answers requests for up to a hundred ids at a time. Members missing from an
answer are requested once more, one by one: a truncated answer must not withhold a member's cashback.
"""

import logging
from typing import Final

import anyio
import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway.gateway_status import GatewayStatus
from cashback.cogs.gateway.running_check import GUILDS_SECONDS
from cashback.database import Database
from cashback.database.payouts import absences
from cashback.database.referral_program import pending
from cashback.domain.model import Absence

PEOPLE_AT_ONCE: Final = 100
PAUSE_SECONDS: Final = 1
"""Between two requests: Discord accepts 120 a minute on the gateway, and the client needs some of them."""

EVERY_SECONDS: Final = 3600
UNKNOWN_USER: Final = 10013

logger = logging.getLogger(__name__)


class MembershipCheck:
    """Records absences and returns, at each start and every hour. Run `run` in a task group."""

    def __init__(
        self, client: discord.Client, gateway_status: GatewayStatus, database: Database, guild_ids: tuple[int, ...]
    ) -> None:
        """Check the servers `guild_ids`, or all servers of the bot if it is empty."""
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
                logger.info("the membership check was cut short: %s", str(error) or type(error).__name__)
            await anyio.sleep(EVERY_SECONDS)

    async def check(self) -> None:
        """Check all members with unpaid cashback once."""
        after_id = 0
        while people := await self._database.read(pending.unpaid_referrers, after_id=after_id, limit=PEOPLE_AT_ONCE):
            if after_id:
                await anyio.sleep(PAUSE_SECONDS)
            await self._check_members(people)
            after_id = people[-1]

    async def _check_members(self, people: list[int]) -> None:
        guilds = [guild for guild in self._client.guilds if not self._guild_ids or guild.id in self._guild_ids]
        present: set[int] = set()
        for guild in guilds:
            found = await guild.query_members(user_ids=people, limit=PEOPLE_AT_ONCE, cache=False)
            present.update(member.id for member in found)
        for person in people:
            known = await self._database.read(absences.absence_of, person)
            if person in present:
                if known is not None:
                    await self._database.write(absences.note_return, person)
            elif known is None and guilds:
                await self._note_absence(guilds, person)

    async def _note_absence(self, guilds: list[discord.Guild], person: int) -> None:
        kind = Absence.LEFT
        for guild in guilds:
            try:
                await guild.fetch_member(person)
            except discord.NotFound as error:
                kind = Absence.GONE if error.code == UNKNOWN_USER else kind
            else:
                return
        logger.info("member %d is absent (%s); the cashback is withheld", person, kind)
        await self._database.write(absences.note, person, kind, self._database.now())
