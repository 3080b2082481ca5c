"""Checks of the configured roles: an integration may hand one out, or so many members have it that it is a mistake."""

import logging
from typing import Final

import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.domain.money import grouped
from cashback.settings import RoleIds

FEWEST_HOLDERS: Final = 3
"""In a tiny server half of the members may well be admins."""

MEMBERS_SAMPLED: Final = 1_000

logger = logging.getLogger(__name__)


async def problems_of_roles(client: discord.Client, guild: discord.Guild, role_ids: RoleIds) -> list[str]:
    """Describe what is dangerous about the configured roles of a server, each with the remedy."""
    found: list[str] = []
    for name, role_id in role_ids.model_dump().items():
        role = None if role_id is None else guild.get_role(role_id)
        if role is None:
            continue
        if role.managed:
            found.append(
                f"role_ids.{name} is {role.id}, the role {role.name!r}, which an integration manages: it decides who"
                " has the role. Set it to a role that only your admins hand out."
            )
        share = await _share_of(client, guild, role)
        if share is not None:
            found.append(
                f"role_ids.{name} is {role.id}, the role {role.name!r}, which {share} have."
                " Set it to a role that only the members meant have."
            )
    return found


async def _share_of(client: discord.Client, guild: discord.Guild, role: discord.Role) -> str | None:
    """Return how many members have a role, if it is at least half of them."""
    counted = await _count(client, guild, role)
    if counted is None:
        return None
    holders, members = counted
    if holders < FEWEST_HOLDERS or 2 * holders < members:
        return None
    return f"{grouped(holders)} of {grouped(members)} members"


async def _count(client: discord.Client, guild: discord.Guild, role: discord.Role) -> tuple[int, int] | None:
    """Count a role's members and all members; a sample of them if Discord does not give the counts to this bot."""
    members = guild.approximate_member_count or guild.member_count
    try:
        counts = await guild.role_member_counts()
        if members:
            return counts.get(role, 0), members
    except DISCORD_FAILURES as error:
        logger.debug("the members of roles are not counted by Discord: %s", error)
    try:
        # Not by the library's own method: it refuses without the intent, which only the gateway needs to know of.
        sample = await client.http.get_members(guild.id, MEMBERS_SAMPLED, None)
    except DISCORD_FAILURES:
        return None
    return sum(str(role.id) in member["roles"] for member in sample), len(sample)
