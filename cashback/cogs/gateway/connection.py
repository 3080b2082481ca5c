"""Keeps the client connected: logs in, has the configuration checked, and connects."""

import logging
from typing import Final

import anyio
import discord
import yarl

from cashback.background.backoff import Backoff
from cashback.cogs.errors import DISCORD_FAILURES, brief
from cashback.cogs.gateway.client import CashbackClient
from cashback.cogs.gateway.configuration_check import INTENT_MISSING, Needs, StartError, check_before_connecting
from cashback.domain.errors import CashbackError

__all__ = ["ConnectionEndedError", "Needs", "StartError", "point_at", "stay_connected"]

CLOSE_SECONDS: Final = 2
FIRST_PAUSE_SECONDS: Final = 1
LONGEST_PAUSE_SECONDS: Final = 60

logger = logging.getLogger(__name__)


class ConnectionEndedError(CashbackError):
    """Discord ended the connection and does not want it back."""


def point_at(api_url: str) -> None:
    """Send the library's requests to another server that speaks Discord's API."""
    discord.http.Route.BASE = api_url


async def stay_connected(client: CashbackClient, token: str, needs: Needs) -> None:
    """Stay connected until cancelled. Raises StartError or ConnectionEndedError if retries are pointless."""
    try:
        await _log_in(client, token)
        await check_before_connecting(client, needs)
        await client.session_starts.wait(client.http, needed=client.shard_count or 1)
        await _connect(client)
    finally:
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await client.close()


async def _log_in(client: CashbackClient, token: str) -> None:
    """Log in and request the gateway's address and number of shards. While Discord cannot be reached, try again."""
    backoff = Backoff(first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS)
    while True:
        try:
            await client.login(token)
            client.shard_count, url, limit = await client.http.get_bot_gateway()
            client.session_starts.note(limit)
            discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url)
        except discord.LoginFailure as error:
            raise StartError(
                "Discord does not accept DISCORD_TOKEN; copy the token from the developer portal again."
            ) from error
        except DISCORD_FAILURES as error:
            pause = backoff.fail()
            logger.warning("Discord cannot be reached (%s); trying again in %d s", brief(error), pause)
            await client.http.close()
            # The library would use the closed connector again.
            client.http.connector = discord.utils.MISSING
            await anyio.sleep(pause)
        else:
            return


async def _connect(client: CashbackClient) -> None:
    """Hold every shard's connection. If one breaks, it is made again."""
    try:
        await client.connect()
    except discord.PrivilegedIntentsRequired as error:
        raise StartError(INTENT_MISSING) from error
    except discord.ConnectionClosed as error:
        raise ConnectionEndedError(f"Discord closed the connection for good (code {error.code}).") from error
