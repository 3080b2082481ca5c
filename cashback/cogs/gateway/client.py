"""The client of the bot that we ship: how it connects, and where its slash commands are registered."""

import logging
from typing import Any, Final

import anyio
import discord
from discord.ext import commands

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway import websocket  # noqa: F401 -- it puts itself into the library
from cashback.cogs.gateway.session_starts import SessionStarts

# The library warns about missing voice support; this bot uses no voice.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

RATE_LIMIT_SECONDS: Final = 60
IDENTIFY_SECONDS: Final = 5
"""The pause that Discord asks for between two IDENTIFYs."""

logger = logging.getLogger(__name__)


class CashbackClient(commands.AutoShardedBot):
    """The connection to Discord. It does not ping, keeps no members in memory and does not answer other bots.

    A bot in many servers has several connections, the shards, each with its part of the servers. Discord decides how
    many.
    """

    def __init__(self, *, prefix: str, guild_ids: tuple[int, ...]) -> None:
        """Create the client, not yet connected.

        The slash commands are registered in the servers `guild_ids`, or in all if it is empty.
        """
        super().__init__(
            command_prefix=prefix,
            case_insensitive=True,
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True),
            allowed_mentions=discord.AllowedMentions.none(),
            help_command=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            max_ratelimit_timeout=RATE_LIMIT_SECONDS,
            # Our websocket limits its attempts itself and never gives up.
            shard_connect_timeout=None,
        )
        self.session_starts = SessionStarts()
        self._guild_ids = guild_ids
        self._identifying = anyio.Lock()
        self._may_identify_at = 0.0

    def dispatch(self, event_name: str, /, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- the library's
        """Dispatch an event unless the client is closed: a READY that settles after that would raise."""
        if not self.is_closed():
            super().dispatch(event_name, *args, **kwargs)

    @property
    def _scopes(self) -> list[discord.Object | None]:
        """The servers in which the slash commands are registered; None stands for all."""
        return [discord.Object(guild_id) for guild_id in self._guild_ids] or [None]

    async def count_registered_commands(self) -> int:
        """Ask Discord how many slash commands it has of this bot, over its servers."""
        return sum([len(await self.tree.fetch_commands(guild=scope)) for scope in self._scopes])

    async def setup_hook(self) -> None:
        """Register the slash commands."""
        for scope in self._scopes:
            if scope is not None:
                self.tree.copy_global_to(guild=scope)
            try:
                await self.tree.sync(guild=scope)
            except DISCORD_FAILURES as error:
                logger.warning("the slash commands could not be registered, the typed ones work: %s", error)
        try:
            await self._remove_other_scopes()
        except DISCORD_FAILURES as error:
            logger.warning("slash commands of an earlier configuration may be shown twice: %s", error)

    async def _remove_other_scopes(self) -> None:
        """Remove the slash commands of the scopes that are not configured: Discord would show both.

        With `guild_ids` those are the global commands and other servers' commands, without it all servers' commands.
        """
        if self.application_id is None:
            return
        if self._guild_ids and await self.http.get_global_commands(self.application_id):
            await self.http.bulk_upsert_global_commands(self.application_id, payload=[])
        async for guild in self.fetch_guilds(limit=None, with_counts=False):
            if guild.id not in self._guild_ids and await self.http.get_guild_commands(self.application_id, guild.id):
                await self.http.bulk_upsert_guild_commands(self.application_id, guild.id, payload=[])

    async def before_identify_hook(self, _shard_id: int | None, *, initial: bool = False) -> None:
        """Wait as long as Discord asks. The library's own hook waits even if the last IDENTIFY was hours ago."""
        async with self._identifying:
            await anyio.sleep_until(self._may_identify_at)
            self._may_identify_at = anyio.current_time() + IDENTIFY_SECONDS
            self.session_starts.spend()

    async def on_command_error(self, context: commands.Context[Any], exception: commands.CommandError, /) -> None:
        """Stay silent at words that are no command: another bot may use the same prefix."""
        if not isinstance(exception, commands.CommandNotFound):
            await super().on_command_error(context, exception)
