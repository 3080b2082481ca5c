"""One shard's websocket, which outlives what it cannot read, and a gateway that cannot be reached."""

import logging
from typing import Any, Final, Self

import aiohttp
import anyio
import discord

CLOSE_CODE: Final = 4000
FIRST_PAUSE_SECONDS: Final = 1
LONGEST_PAUSE_SECONDS: Final = 60
CONNECT_SECONDS: Final = 60

logger = logging.getLogger(__name__)


class ConnectionSpoiledError(ConnectionError):
    """The connection carries what nobody can read; the library connects anew, after pauses that grow."""


class LastingWebSocket(discord.gateway.DiscordWebSocket):
    """Tells the library of whatever goes wrong with a connection in the one way in which it goes on.

    By itself it ends the process over a frame that it cannot read, or a connection that fails again while it is made.
    """

    @classmethod
    async def from_client(cls, client: discord.Client, **how: Any) -> Self:  # noqa: ANN401 -- the library's options
        """Connect and identify, or resume. Raises ConnectionSpoiledError, or what the library outlives itself.

        A shard's first connection is tried until it is made; of the later ones the library takes care.
        """
        # The library says only of the first connection whether it is the initial one of all shards.
        if "initial" in how:
            return await cls._keep_trying(client, **how)
        return await cls._connect(client, **how)

    @classmethod
    async def _keep_trying(cls, client: discord.Client, **how: Any) -> Self:  # noqa: ANN401 -- the library's options
        """Connect and identify, however long that takes. The library itself would nest one call more at each try."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                with anyio.fail_after(CONNECT_SECONDS):
                    return await cls._connect(client, **how)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the bot works on and tries again
                logger.warning("Discord's gateway cannot be reached (%s); trying again in %d s", _said(error), pause)
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    @classmethod
    async def _connect(cls, client: discord.Client, **how: Any) -> Self:  # noqa: ANN401 -- the library's options
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


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class OneLine(logging.Filter):
    """RateLimiter the tracebacks of the library's lost connections into a part of the line: they happen every day."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.msg, record.args = f"{record.getMessage()} ({_said(error)})", None
            record.exc_info = None
        return True


for _library in ("discord.gateway", "discord.shard"):
    logging.getLogger(_library).addFilter(OneLine())

# The library makes the sockets, by this name.
discord.shard.DiscordWebSocket = LastingWebSocket  # type: ignore[misc]
