"""The roles a member has at this moment, requested from Discord: the bot keeps no members in memory."""

import discord

from cashback.cogs.actors import roles_of
from cashback.cogs.errors import DISCORD_FAILURES
from cashback.domain.errors import RolesUnknownError


class Roles:
    """Requests members' roles on the bot's servers."""

    def __init__(self, client: discord.Client, guild_ids: tuple[int, ...]) -> None:
        """Request roles on the servers `guild_ids`, or on all servers of the bot if it is empty."""
        self._client = client
        self._guild_ids = guild_ids

    async def of(self, user_id: int | None) -> frozenset[int]:
        """Return the ids of a member's roles; an empty set if the user is not a member, or the id is None.

        Raises RolesUnknownError if Discord does not answer.
        """
        if user_id is None:
            return frozenset()
        guilds = [guild for guild in self._client.guilds if not self._guild_ids or guild.id in self._guild_ids]
        if not guilds:
            raise RolesUnknownError
        found: set[int] = set()
        for guild in guilds:
            try:
                member = await guild.fetch_member(user_id)
            except discord.NotFound:
                continue
            except DISCORD_FAILURES as error:
                raise RolesUnknownError from error
            found |= roles_of(member)
        return frozenset(found)
