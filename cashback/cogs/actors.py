"""Discord members as the actors of requests, with the roles that the event about them carries."""

from typing import Final

import discord

from cashback.services import Actor, Source

UNKNOWN_ROLES: Final[frozenset[int]] = frozenset()


def actor_of(person: discord.User | discord.Member) -> Actor:
    """Return the actor for a person, with the roles they have at this moment."""
    roles = roles_of(person) if isinstance(person, discord.Member) else UNKNOWN_ROLES
    return Actor(source=Source.DISCORD, user_id=person.id, role_ids=roles)


def roles_of(member: discord.Member) -> frozenset[int]:
    """Return the ids of a member's roles, without @everyone: that role must never admit anyone."""
    return frozenset(role.id for role in member.roles if not role.is_default())
