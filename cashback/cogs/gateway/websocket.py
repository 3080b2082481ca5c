"""A shard's websocket that survives unreadable frames and an unreachable gateway."""

import logging
from typing import Any, Final, Self

import aiohttp
import anyio
import discord

from cashback.background.backoff import Backoff
from cashback.cogs.gateway.session_starts import SessionStarts

CLOSE_CODE: Final = 4000
FIRST_PAUSE_SECONDS: Final = 1
LONGEST_PAUSE_SECONDS: Final = 60
CONNECT_SECONDS: Final = 60

logger = logging.getLogger(__name__)


class ConnectionSpoiledError(ConnectionError):
    """The connection sends unreadable data. The library reconnects, after growing pauses."""


class LastingWebSocket(discord.gateway.DiscordWebSocket):
    """Raises every connection problem as the one error after which the library reconnects.

    Otherwise the library ends the process if a frame is unreadable, or if a connection fails again while it is made.
    """

    @classmethod
    async def from_client(cls, client: discord.Client, **how: Any) -> Self:  # noqa: ANN401 -- the library's options
        """Connect and identify, or resume. Raises ConnectionSpoiledError, or an error that the library handles.

        A shard's first connection is tried until it is made. The library handles the later ones.
        """
        # The library passes `initial` for a shard's first connection only.
        if "initial" in how:
            return await cls._keep_trying(client, **how)
        return await cls._connect(client, **how)

    @classmethod
    async def _keep_trying(cls, client: discord.Client, **how: Any) -> Self:  # noqa: ANN401 -- the library's options
        """Connect and identify, however long it takes. The library itself would nest one more call at each attempt."""
        backoff = Backoff(first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS)
        while True:
            try:
                with anyio.fail_after(CONNECT_SECONDS):
                    return await cls._connect(client, **how)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the bot keeps working and tries again
                pause = backoff.fail()
                logger.warning("Discord's gateway cannot be reached (%s); trying again in %d s", _summary(error), pause)
            await anyio.sleep(pause)

    @classmethod
    async def _connect(cls, client: discord.Client, **how: Any) -> Self:  # noqa: ANN401 -- the library's options
        if not how.get("resume"):
            # Waited for here, before the socket is open: the gateway closes one that does not identify soon.
            starts: SessionStarts | None = getattr(client, "session_starts", None)
            if starts is not None:
                await starts.wait(client.http, needed=1, ask="initial" not in how)
        try:
            return await super().from_client(client, **how)
        except discord.gateway.ReconnectWebSocket as error:
            message = "the gateway closed the connection while it was made"
            raise ConnectionSpoiledError(message) from error

    async def poll_event(self) -> None:
        """Read a frame and act on it. Raises ConnectionSpoiledError, or an error that the library handles."""
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
            logger.exception("the gateway sent an unreadable frame; reconnecting")
            await self.close(CLOSE_CODE)
            message = "the gateway sent an unreadable frame"
            raise ConnectionSpoiledError(message) from error


def _summary(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class OneLine(logging.Filter):
    """Shortens the tracebacks of lost connections to a part of the log line: they happen every day."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record, without its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.msg, record.args = f"{record.getMessage()} ({_summary(error)})", None
            record.exc_info = None
        return True


for _library in ("discord.gateway", "discord.shard"):
    logging.getLogger(_library).addFilter(OneLine())

# The library creates the sockets by this name.
discord.shard.DiscordWebSocket = LastingWebSocket  # type: ignore[misc]
