"""Session starts: Discord allows a bot so many IDENTIFYs a day, and resets the token of one that sends more."""

import logging
from typing import Final

import anyio
import discord

from cashback.cogs.errors import DISCORD_FAILURES

LONGEST_WAIT_SECONDS: Final = 3600
"""Discord is asked again at least so often: the token may have been reset, and the limit raised."""

RETRY_SECONDS: Final = 30

logger = logging.getLogger(__name__)


class SessionStarts:
    """How many IDENTIFYs are left, as Discord last said and less those sent since."""

    def __init__(self) -> None:
        """Know nothing yet; without a word from Discord no start is held back."""
        self._left: int | None = None
        self._reset_seconds = 0.0

    def note(self, limit: "discord.types.gateway.SessionStartLimit") -> None:
        """Note what Discord reports."""
        self._left, self._reset_seconds = limit["remaining"], limit["reset_after"] / 1000

    def spend(self) -> None:
        """Count an IDENTIFY that is sent now."""
        if self._left is not None:
            self._left -= 1

    async def wait(self, http: discord.http.HTTPClient, needed: int, *, ask: bool = False) -> None:
        """Return when so many IDENTIFYs are left; until then wait for the reset.

        With `ask`, ask first: another process with this token may have used some.
        """
        if not ask and (self._left is None or self._left >= needed):
            return
        while not await self._has(http, needed):  # noqa: ASYNC110 -- Discord is asked, no event comes
            await anyio.sleep(min(self._reset_seconds + 1, LONGEST_WAIT_SECONDS))

    async def _has(self, http: discord.http.HTTPClient, needed: int) -> bool:
        """Ask Discord whether so many are left. If it does not answer, what it said before counts."""
        try:
            _, _, limit = await http.get_bot_gateway()
        except DISCORD_FAILURES as error:
            logger.debug("Discord does not say how many session starts are left: %s", error)
            self._reset_seconds = RETRY_SECONDS
            return self._left is None or self._left >= needed
        self.note(limit)
        if limit["remaining"] >= needed:
            return True
        logger.warning(
            "Discord allows %d of %d session starts until the reset in %.0f s, and %d are needed: waiting for it,"
            " since Discord resets the token of a bot that starts more often",
            limit["remaining"],
            limit["total"],
            self._reset_seconds,
            needed,
        )
        return False
