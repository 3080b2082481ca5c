"""Keeps the client connected: logs in, has the configuration checked, and connects."""

import logging
from functools import partial
from typing import Final

import anyio
import discord
import yarl

from cashback.background.backoff import Backoff
from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway.channel_checks import check_channel
from cashback.cogs.gateway.client import CashbackClient
from cashback.cogs.gateway.configuration_check import (
    INTENT_MISSING,
    Needs,
    StartError,
    check_before_connecting,
    refuse_everyone,
    require_role,
)
from cashback.cogs.gateway.role_checks import problems_of_roles
from cashback.domain.errors import CashbackError

__all__ = ["GUILDS_SECONDS", "ConnectionEndedError", "Needs", "StartError", "point_at", "stay_connected"]

CLOSE_SECONDS: Final = 2
FIRST_PAUSE_SECONDS: Final = 1
LONGEST_PAUSE_SECONDS: Final = 60
GUILDS_SECONDS: Final = 10

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
        async with anyio.create_task_group() as tasks:
            client.add_listener(partial(_report_deleted_role, needs), "on_guild_role_delete")
            tasks.start_soon(_check, client, needs, name="configuration check")
            await _connect(client)
    finally:
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await client.close()


async def _report_deleted_role(needs: Needs, role: discord.Role) -> None:
    """Report that a configured role was deleted while the bot runs: nobody has it any more."""
    for name, role_id in needs.role_ids.model_dump().items():
        if role_id == role.id:
            text = (
                f"role_ids.{name} is {role.id}, but the role {role.name!r} was deleted: nobody has it any more."
                " Set it to another role's id and restart the bot."
            )
            logger.error(text)
            if needs.post_line is not None:
                await needs.post_line(text)


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
            logger.warning(
                "Discord cannot be reached (%s); trying again in %d s", str(error) or type(error).__name__, pause
            )
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


async def _check(client: CashbackClient, needs: Needs) -> None:
    """Check once, when the servers are known, that the configured role and channel exist. Raises StartError."""
    await client.wait_guilds_known(GUILDS_SECONDS)
    refuse_everyone(needs, [guild.id for guild in client.guilds])
    guilds = [guild for guild in client.guilds if not needs.guild_ids or guild.id in needs.guild_ids]
    if any(guild.unavailable for guild in guilds):
        logger.warning("a server is unavailable; the configured role and channel were not checked")
        return
    names = require_role(needs, guilds)
    if needs.audit_channel_id is None:
        logger.warning("logging_channels.audit is not set; batches are recorded in the database's audit log only")
    else:
        await _check_audit_channel(client, guilds, needs.audit_channel_id)
    for guild in guilds:
        for problem in await problems_of_roles(client, guild, needs.role_ids):
            logger.warning(problem)
    logger.info("ready in %s", names)


async def _check_audit_channel(client: CashbackClient, guilds: list[discord.Guild], channel_id: int) -> None:
    try:
        is_well, text = await check_channel(client, guilds, channel_id)
    except DISCORD_FAILURES as error:
        logger.warning("the audit channel was not checked: %s", str(error) or type(error).__name__)
        return
    if not is_well:
        logger.warning("%s; the entries wait until they can be posted", text)
