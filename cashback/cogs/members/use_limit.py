"""How often each member may use a command."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands


def _member_of(interaction: discord.Interaction[Any]) -> int:
    return interaction.user.id


class UseLimit:
    """So many uses by each member in so many seconds.

    The library's own check is made before a command is ours: the bot that we run in would hear of it, and answer too.
    """

    def __init__(self, uses: int, seconds: float) -> None:
        self._cooldown = app_commands.Cooldown(uses, seconds)
        self._uses = commands.CooldownMapping.from_cooldown(uses, seconds, _member_of)

    def take(self, interaction: discord.Interaction[Any]) -> None:
        """Count a use. Raises CommandOnCooldown if it is one too many."""
        now = interaction.created_at.timestamp()
        bucket = self._uses.get_bucket(interaction, now)
        if bucket is not None and (wait := bucket.update_rate_limit(now)):
            raise app_commands.CommandOnCooldown(self._cooldown, wait)
