"""Checks what the configuration names on Discord once the bot is connected, and reports what goes missing later."""

import logging
from functools import partial
from typing import Final

import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.cogs.gateway.channel_checks import check_channel
from cashback.cogs.gateway.configuration_check import Needs, refuse_everyone, require_role
from cashback.cogs.gateway.gateway_status import Client, GatewayStatus
from cashback.cogs.gateway.role_checks import problems_of_roles

GUILDS_SECONDS: Final = 10

logger = logging.getLogger(__name__)


class RunningCheck:
    """Checks the roles and the channel of the configuration while the bot runs."""

    def __init__(self, client: Client, gateway_status: GatewayStatus, needs: Needs) -> None:
        self._client = client
        self._gateway_status = gateway_status
        self._needs = needs
        self._listener = partial(_report_deleted_role, needs)

    def start(self) -> None:
        """Report deleted roles from now on."""
        self._client.add_listener(self._listener, "on_guild_role_delete")

    def stop(self) -> None:
        """Report them no more."""
        self._client.remove_listener(self._listener, "on_guild_role_delete")

    async def run(self) -> None:
        """Check once, when the servers are known, that the role and the channel exist. Raises StartError."""
        client, needs = self._client, self._needs
        await self._gateway_status.wait_guilds_known(GUILDS_SECONDS)
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


async def _check_audit_channel(client: discord.Client, guilds: list[discord.Guild], channel_id: int) -> None:
    try:
        is_well, text = await check_channel(client, guilds, channel_id)
    except DISCORD_FAILURES as error:
        logger.warning("the audit channel was not checked: %s", str(error) or type(error).__name__)
        return
    if not is_well:
        logger.warning("%s; the entries wait until they can be posted", text)
