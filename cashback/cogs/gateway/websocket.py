"""One shard's websocket, which outlives what it cannot read."""

import logging
from typing import Any, Self

import aiohttp
import discord

CLOSE_CODE = 4000

logger = logging.getLogger(__name__)


class ConnectionSpoiledError(ConnectionError):
    """The connection carries what nobody can read; the library connects anew, after pauses that grow."""


class LastingWebSocket(discord.gateway.DiscordWebSocket):
    """Tells the library of whatever goes wrong with a connection in the one way in which it goes on.

    By itself it ends the process over a frame that it cannot read, or a connection that fails again while it is made.
    """

    @classmethod
    async def from_client(cls, client: discord.Client, **how: Any) -> Self:  # noqa: ANN401 -- the library's options
        """Connect and identify, or resume. Raises ConnectionSpoiledError, or what the library outlives itself."""
        try:
            return await super().from_client(client, **how)
        except discord.gateway.ReconnectWebSocket as error:
            message = "the gateway ended the connection while it was made"
            raise ConnectionSpoiledError(message) from error

    async def poll_event(self) -> None:
        """Read a frame and act on it. Raises ConnectionSpoiledError, or what the library outlives itself."""
        try:
            await super().poll_event()
        except (
            discord.gateway.ReconnectWebSocket,
            discord.ConnectionClosed,
            OSError,
            TimeoutError,
            aiohttp.ClientError,
        ):
            raise
        except Exception as error:
            logger.exception("the gateway sent what cannot be read; connecting anew")
            await self.close(CLOSE_CODE)
            message = "the gateway sent what cannot be read"
            raise ConnectionSpoiledError(message) from error


# The library makes the sockets, by this name.
discord.shard.DiscordWebSocket = LastingWebSocket  # type: ignore[misc]
