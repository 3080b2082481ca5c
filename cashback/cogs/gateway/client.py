"""The bot's client: what it listens to, that it acts on each command once, and whether it is online."""

import logging
from typing import Any, Final

import anyio
import discord
from discord import app_commands
from discord.ext import commands

from cashback.background.wakeup import WakeUp
from cashback.cogs.buttons.confirm import BatchButtons, DecisionButton
from cashback.cogs.buttons.history_pager import HistoryButton, HistoryPager, PayoutsButton
from cashback.cogs.buttons.paging import PageButton
from cashback.cogs.buttons.reversals import ReversalButton, Reversals
from cashback.cogs.buttons.skip_slot import HoldButton, SkipSlot
from cashback.cogs.errors import DISCORD_FAILURES, answer_command_error
from cashback.cogs.gateway import websocket  # noqa: F401 -- it puts itself into the library
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.gateway.doctor import Doctor
from cashback.cogs.gateway.request_limits import limiting_trace
from cashback.cogs.member_facts import MemberFacts
from cashback.domain.errors import CashbackError

# The library warns of what it lacks for voice; this bot listens to nobody.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

BUTTONS: Final = (DecisionButton, HistoryButton, HoldButton, PageButton, PayoutsButton, ReversalButton)
"""All buttons of the bot. They carry what they are about in their ids."""

RATE_LIMIT_SECONDS: Final = 60
IDENTIFY_SECONDS: Final = 5
"""Discord asks bots for so long a pause from one IDENTIFY to the next."""

logger = logging.getLogger(__name__)


class ClaimedContext(commands.Context["CashbackClient"]):
    """A command's context. A slow claim has deferred the answer already; the command may defer it again."""

    async def defer(self, *, ephemeral: bool = False) -> None:
        """Defer the answer unless that is done."""
        if self.interaction is None or not self.interaction.response.is_done():
            await super().defer(ephemeral=ephemeral)


class ClaimedTree(app_commands.CommandTree["CashbackClient"]):
    """Slash commands and their suggestions, each interaction once."""

    async def interaction_check(self, interaction: "discord.Interaction[CashbackClient]", /) -> bool:
        """Let an interaction pass if this process claims it first."""
        return await interaction.client.claims.win_interaction(interaction)

    async def on_error(
        self, interaction: "discord.Interaction[CashbackClient]", error: app_commands.AppCommandError, /
    ) -> None:
        """Leave it to the commands: all of ours answer for their errors."""
        logger.debug("interaction %d: %s", interaction.id, error)


class CashbackClient(commands.AutoShardedBot):
    """The connection to Discord. It pings nobody, keeps no members in memory and answers no other bot.

    A bot in many servers has several connections, the shards, each with its part of the servers; Discord says how many.
    """

    decisions: BatchButtons
    reversals: Reversals
    holds: SkipSlot
    doctor: Doctor
    browser: HistoryPager
    programme: MemberFacts

    def __init__(self, bell: WakeUp, claims: Claims, *, prefix: str, guild_ids: tuple[int, ...]) -> None:
        """Take the bell of who waits for a connection, the prefix, and the servers that get the slash commands.

        `claims` decides for each command and press whether this process acts on it.

        Without `guild_ids` all servers get them.
        """
        super().__init__(
            command_prefix=prefix,
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True),
            allowed_mentions=discord.AllowedMentions.none(),
            help_command=None,
            tree_cls=ClaimedTree,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            max_ratelimit_timeout=RATE_LIMIT_SECONDS,
            # Our websocket limits its tries itself, and does not end them.
            shard_connect_timeout=None,
            http_trace=limiting_trace(),
        )
        self.claims = claims
        self._bell = bell
        self._guild_ids = guild_ids
        self._shards_online: set[int] = set()
        self._online = anyio.Event()
        self._all_connected = anyio.Event()
        self._guilds_known = anyio.Event()
        self._identifying = anyio.Lock()
        self._may_identify_at = 0.0

    @property
    def is_online(self) -> bool:
        """Whether a shard is connected, so that requests are worth trying."""
        return self._online.is_set()

    async def wait_online(self) -> None:
        """Wait for a shard's connection."""
        await self._online.wait()

    async def wait_guilds_known(self, seconds: float) -> None:
        """Wait until Discord has sent each server that the bot is in, at most so long after all shards are connected.

        Until they are connected, however long that takes, a server that is not known may still come. The library's own
        "ready" comes two seconds after the last server.
        """
        await self._all_connected.wait()
        with anyio.move_on_after(seconds):
            await self._guilds_known.wait()

    def dispatch(self, event_name: str, /, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- the library's
        """Pass an event on, unless the client is closed: a READY that settles later than that would raise."""
        if not self.is_closed():
            super().dispatch(event_name, *args, **kwargs)

    async def setup_hook(self) -> None:
        """Listen to the buttons of every summary, old ones too, and register the slash commands."""
        self.add_dynamic_items(*BUTTONS)
        scopes: list[discord.Object | None] = [discord.Object(guild_id) for guild_id in self._guild_ids]
        for scope in scopes or [None]:
            if scope is not None:
                self.tree.copy_global_to(guild=scope)
            try:
                await self.tree.sync(guild=scope)
            except DISCORD_FAILURES as error:
                logger.warning("the slash commands could not be registered, the others work: %s", error)

    async def before_identify_hook(self, _shard_id: int | None, *, initial: bool = False) -> None:
        """Wait as long as Discord asks, and no longer: the library waits also where the last IDENTIFY was hours ago."""
        async with self._identifying:
            await anyio.sleep_until(self._may_identify_at)
            self._may_identify_at = anyio.current_time() + IDENTIFY_SECONDS

    async def on_shard_connect(self, shard_id: int) -> None:
        """Note that a shard is connected."""
        self._shards_online.add(shard_id)
        self._online.set()
        self._bell.set()
        self._look_at_guilds()

    async def on_guild_available(self, _guild: discord.Guild) -> None:
        """Note that Discord has told of one more server."""
        self._look_at_guilds()

    def _look_at_guilds(self) -> None:
        all_connected = len(self._shards_online) == self.shard_count
        if all_connected:
            self._all_connected.set()
        if all_connected and not any(guild.unavailable for guild in self.guilds):
            self._guilds_known.set()

    async def on_shard_resumed(self, shard_id: int) -> None:
        """Note that a shard is connected again."""
        await self.on_shard_connect(shard_id)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        """Note that a shard is gone; the library connects it anew by itself."""
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
        """Make the context of a command."""
        return await super().get_context(origin, cls=cls)

    async def invoke(self, ctx: commands.Context[Any], /) -> None:
        """Run a typed command if this process claims its message first; other messages are not claimed."""
        try:
            if ctx.command is not None and not await self.claims.win(ctx.message.id):
                return
        except CashbackError as error:
            await answer_command_error(ctx, error)
            return
        await super().invoke(ctx)

    async def on_command_error(self, context: commands.Context[Any], exception: commands.CommandError, /) -> None:
        """Answer for a command that failed."""
        await answer_command_error(context, exception)
