"""Checks which members with unpaid cashback have left the server, and which are back.

Members missing from an answer are requested once more, one by one: a truncated answer must not withhold a member's
cashback.
"""

import logging
from typing import ClassVar, Final

import discord

from cashback.cogs.gateway.people_check import PEOPLE_AT_ONCE, PeopleCheck
from cashback.database.payouts import absences
from cashback.database.referral_program import pending
from cashback.domain.model import Absence

UNKNOWN_USER: Final = 10013

logger = logging.getLogger(__name__)


class MembershipCheck(PeopleCheck):
    """Records absences and returns of all members with unpaid cashback."""

    title: ClassVar = "membership check"

    async def _next_people(self, after_id: int) -> list[int]:
        return await self._database.read(pending.unpaid_referrers, after_id=after_id, limit=PEOPLE_AT_ONCE)

    async def _check_people(self, people: list[int]) -> None:
        guilds, present = self._guilds(), await self._query_members(people)
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
