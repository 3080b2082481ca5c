"""Checks what the configuration names on Discord, over HTTP, before the first IDENTIFY.

A restart loop with a wrong configuration must not use up the session starts of a day.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway.request_limits import request_limits
from cashback.domain.errors import CashbackError
from cashback.settings import RoleIds, everyone_in_roles

REQUEST_SECONDS: Final = 10
REAL_HOSTS: Final = ("discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com")
MOST_SERVERS_ASKED: Final = 20
"""A bot in more servers that names none of them is checked when the gateway has shown them."""

INTENT_MISSING: Final = (
    "The bot may not read messages: switch on the Message Content Intent for it in the developer portal."
)

logger = logging.getLogger(__name__)


class StartError(CashbackError):
    """The bot cannot start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What must exist on Discord. `guild_ids` are the servers to check; if it is empty, all servers of the bot.

    `post_line` posts in the audit channel what goes missing while the bot runs.
    """

    admin_role_id: int
    role_ids: RoleIds
    audit_channel_id: int | None
    guild_ids: tuple[int, ...]
    post_line: Callable[[str], Awaitable[None]] | None = None


def is_real_discord() -> bool:
    """Return whether the library's requests go to Discord itself, not to another server that speaks its API."""
    return urlsplit(discord.http.Route.BASE).hostname in REAL_HOSTS


async def check_before_connecting(client: discord.Client, needs: Needs) -> None:
    """Check intents, servers and roles over HTTP. Raises StartError; what cannot be asked is checked once connected."""
    flags = client.application_flags
    if not (flags.gateway_message_content or flags.gateway_message_content_limited):
        raise StartError(INTENT_MISSING)
    try:
        with request_limits(client, REQUEST_SECONDS):
            await _check_servers(client, needs)
    except DISCORD_FAILURES as error:
        logger.warning("the configured servers and roles are checked later: %s", str(error) or type(error).__name__)


async def _check_servers(client: discord.Client, needs: Needs) -> None:
    joined = [guild.id async for guild in client.fetch_guilds(limit=200)]
    refuse_everyone(needs, joined)
    wanted = needs.guild_ids or tuple(joined)
    if len(wanted) > MOST_SERVERS_ASKED:
        return
    guilds = []
    for guild_id in wanted:
        try:
            guilds.append(await client.fetch_guild(guild_id, with_counts=False))
        except (discord.NotFound, discord.Forbidden):
            continue
    require_role(needs, guilds)


def refuse_everyone(needs: Needs, guild_ids: Sequence[int]) -> None:
    """Raise StartError if a role is the @everyone role of one of these servers."""
    wrong = everyone_in_roles(needs.role_ids, guild_ids)
    if wrong is not None:
        raise StartError(wrong)


def require_role(needs: Needs, guilds: Sequence[discord.Guild]) -> str:
    """Return the servers' names. Raises StartError if there are none, or none has the admin role."""
    if not guilds:
        guilds_text = f"none of guild_ids {list(needs.guild_ids)}" if needs.guild_ids else "no server"
        raise StartError(f"The bot is in {guilds_text}; invite it first.")
    names = ", ".join(repr(guild.name) for guild in guilds)
    if not any(guild.get_role(needs.admin_role_id) for guild in guilds):
        raise StartError(f"role_ids.admin is {needs.admin_role_id}, but there is no such role in {names}.")
    return names
