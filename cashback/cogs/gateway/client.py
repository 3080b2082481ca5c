"""The bot's client: its events, that it acts on each command once, and whether it is online."""

import logging
from functools import partial
from typing import Any, Final

import anyio
import discord
from discord import app_commands
from discord.ext import commands

from cashback.background.wakeup import WakeUp
from cashback.cogs.command_names import meant_command
from cashback.cogs.errors import DISCORD_FAILURES, HELP, RefusedError, answer_command_error
from cashback.cogs.gateway import websocket  # noqa: F401 -- it puts itself into the library
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.gateway.discord_clock import observing
from cashback.cogs.gateway.request_limits import limiting_trace
from cashback.cogs.gateway.session_starts import SessionStarts
from cashback.cogs.gateway.translations import CommandTranslator
from cashback.domain.clock import ClockCheck
from cashback.domain.errors import CashbackError

# The library warns about missing voice support; this bot uses no voice.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

RATE_LIMIT_SECONDS: Final = 60
IDENTIFY_SECONDS: Final = 5
"""The pause that Discord asks for between two IDENTIFYs."""

PASTED: Final = "/setref"
"""The only slash command that members send to each other as text."""

logger = logging.getLogger(__name__)


def _prefixes(prefix: str, _client: object, message: discord.Message) -> list[str]:
    """Return what a typed command may begin with.

    A shared `/setref CODE` that is pasted and sent as a message works too, as if it were typed with the prefix.
    """
    return [prefix, "/"] if message.content.lower().startswith(PASTED) else [prefix]


class ClaimedContext(commands.Context["CashbackClient"]):
    """A command's context. If a slow claim has deferred the answer, the command may defer it again."""

    async def defer(self, *, ephemeral: bool = False) -> None:
        """Defer the answer unless it is already deferred."""
        if self.interaction is None or not self.interaction.response.is_done():
            await super().defer(ephemeral=ephemeral)


class ClaimedTree(app_commands.CommandTree["CashbackClient"]):
    """Slash commands and their suggestions, each interaction once."""

    def __init__(self, client: "CashbackClient", claims: Claims) -> None:
        super().__init__(client)
        self._claims = claims

    async def interaction_check(self, interaction: "discord.Interaction[CashbackClient]", /) -> bool:
        """Let an interaction pass if this process claims it first."""
        return await self._claims.win_interaction(interaction)

    async def on_error(
        self, interaction: "discord.Interaction[CashbackClient]", error: app_commands.AppCommandError, /
    ) -> None:
        """Log the error at debug level: the commands themselves answer their errors."""
        logger.debug("interaction %d: %s", interaction.id, error)


class CashbackClient(commands.AutoShardedBot):
    """The connection to Discord. It does not ping, keeps no members in memory and does not answer other bots.

    A bot in many servers has several connections, the shards, each with its part of the servers. Discord decides how
    many.
    """

    def __init__(
        self,
        summaries_changed: WakeUp,
        claims: Claims,
        *,
        prefix: str,
        guild_ids: tuple[int, ...],
        clock_check: ClockCheck | None = None,
    ) -> None:
        """Create the client, not yet connected. The buttons are added with `add_dynamic_items`.

        `summaries_changed` is set at each new connection. `claims` decides whether this process acts on a command.
        The slash commands are registered in the servers `guild_ids`, or in all if it is empty. The time in
        Discord's answers goes to `clock_check`.
        """
        super().__init__(
            command_prefix=partial(_prefixes, prefix),
            case_insensitive=True,
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True),
            allowed_mentions=discord.AllowedMentions.none(),
            help_command=None,
            tree_cls=partial(ClaimedTree, claims=claims),  # type: ignore[arg-type]  # the library only calls it
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            max_ratelimit_timeout=RATE_LIMIT_SECONDS,
            # Our websocket limits its attempts itself and never gives up.
            shard_connect_timeout=None,
            http_trace=observing(clock_check, limiting_trace()) if clock_check else limiting_trace(),
        )
        self.session_starts = SessionStarts()
        self._claims = claims
        self._summaries_changed = summaries_changed
        self._guild_ids = guild_ids
        self._shards_online: set[int] = set()
        self._online = anyio.Event()
        self._all_connected = anyio.Event()
        self._guilds_known = anyio.Event()
        self._identifying = anyio.Lock()
        self._may_identify_at = 0.0

    @property
    def is_online(self) -> bool:
        """Whether a shard is connected."""
        return self._online.is_set()

    async def wait_online(self) -> None:
        """Wait for a shard's connection."""
        await self._online.wait()

    async def wait_guilds_known(self, seconds: float) -> None:
        """Wait until Discord has sent each server of the bot, at most so many seconds after all shards are connected.

        Before that, unknown servers may still follow. The library's own "ready" comes two seconds after the last one.
        """
        await self._all_connected.wait()
        with anyio.move_on_after(seconds):
            await self._guilds_known.wait()

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
        await self.tree.set_translator(CommandTranslator())
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

    async def on_shard_connect(self, shard_id: int) -> None:
        """Record that a shard is connected."""
        self._shards_online.add(shard_id)
        self._online.set()
        self._summaries_changed.set()
        self._check_guilds()

    async def on_guild_available(self, _guild: discord.Guild) -> None:
        """Record that Discord has sent one more server."""
        self._check_guilds()

    def _check_guilds(self) -> None:
        all_connected = len(self._shards_online) == self.shard_count
        if all_connected:
            self._all_connected.set()
        if all_connected and not any(guild.unavailable for guild in self.guilds):
            self._guilds_known.set()

    async def on_shard_resumed(self, shard_id: int) -> None:
        """Record that a shard is connected again."""
        await self.on_shard_connect(shard_id)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        """Record that a shard is disconnected; the library reconnects it."""
        self._shards_online.discard(shard_id)
        if not self._shards_online and self._online.is_set():
            self._online = anyio.Event()

    async def get_context(
        self,
        origin: discord.Message | discord.Interaction[Any],
        /,
        *,
        cls: Any = ClaimedContext,  # noqa: ANN401 -- the library's
    ) -> Any:  # noqa: ANN401 -- as above
        """Return the context of a command."""
        return await super().get_context(origin, cls=cls)

    async def invoke(self, ctx: commands.Context[Any], /) -> None:
        """Run a typed command if this process claims its message first; other messages are not claimed."""
        try:
            meant = self._meant_by(ctx)
            if (ctx.command or meant) and not await self._claims.win(ctx.message.id):
                return
        except CashbackError as error:
            await answer_command_error(ctx, error)
            return
        if meant:
            text = f"Did you mean `{ctx.prefix}{meant}`? Nothing was done; `{ctx.prefix}{HELP}` lists the commands."
            await answer_command_error(ctx, RefusedError(text))
            return
        await super().invoke(ctx)

    def _meant_by(self, ctx: commands.Context[Any]) -> str | None:
        """Return the command of ours that an unknown word is a slip of."""
        if ctx.command is not None or not ctx.invoked_with:
            return None
        return meant_command(ctx.invoked_with, self.commands)

    async def on_command_error(self, context: commands.Context[Any], exception: commands.CommandError, /) -> None:
        """Answer a command that failed."""
        await answer_command_error(context, exception)
