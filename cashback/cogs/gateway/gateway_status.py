"""Whether the bot is connected to Discord, and whether its servers are known: of our own bot, or of any other."""

from collections.abc import Callable
from typing import Any, Final

import anyio
import discord
from discord.ext import commands

Client = commands.Bot | commands.AutoShardedBot
"""Any bot of the library."""

ONLY_SHARD: Final = 0
"""A bot without shards has one connection."""


class GatewayStatus:
    """Follows a bot's connections between `start` and `stop`. The bot may be connected already when it starts."""

    def __init__(self, client: Client, connected: Callable[[], None] = lambda: None) -> None:
        """Follow no connection yet. `connected` is called at each new connection."""
        self._client = client
        self._connected = connected
        self._is_sharded = isinstance(client, discord.AutoShardedClient)
        self._shards_online: set[int] = set()
        self._online = anyio.Event()
        self._all_connected = anyio.Event()
        self._guilds_known = anyio.Event()
        self._listeners: dict[str, Callable[..., Any]] = {"on_guild_available": self._note_guild}
        kind = "on_shard_" if self._is_sharded else "on_"
        self._listeners |= {
            f"{kind}connect": self._note_connection,
            f"{kind}resumed": self._note_connection,
            f"{kind}disconnect": self._note_disconnection,
        }

    def start(self) -> None:
        """Follow the connections from now on."""
        for event, listener in self._listeners.items():
            self._client.add_listener(listener, event)
        self._shards_online = self._connected_shards()
        if self._shards_online:
            self._online.set()
            self._check_guilds()

    def stop(self) -> None:
        """Follow them no more."""
        for event, listener in self._listeners.items():
            self._client.remove_listener(listener, event)

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

    def _connected_shards(self) -> set[int]:
        if isinstance(self._client, discord.AutoShardedClient):
            return {number for number, shard in self._client.shards.items() if not shard.is_closed()}
        websocket: discord.gateway.DiscordWebSocket | None = self._client.ws
        return {ONLY_SHARD} if websocket is not None and websocket.open else set()

    async def _note_connection(self, shard_id: int = ONLY_SHARD) -> None:
        self._shards_online.add(shard_id)
        self._online.set()
        self._connected()
        self._check_guilds()

    async def _note_disconnection(self, shard_id: int = ONLY_SHARD) -> None:
        """Record that a shard is disconnected; the library reconnects it."""
        self._shards_online.discard(shard_id)
        if not self._shards_online and self._online.is_set():
            self._online = anyio.Event()

    async def _note_guild(self, _guild: discord.Guild) -> None:
        self._check_guilds()

    def _check_guilds(self) -> None:
        all_connected = len(self._shards_online) == (self._client.shard_count or 1 if self._is_sharded else 1)
        if all_connected:
            self._all_connected.set()
        if all_connected and not any(guild.unavailable for guild in self._client.guilds):
            self._guilds_known.set()
