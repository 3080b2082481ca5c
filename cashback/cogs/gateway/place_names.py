"""The names of roles and channels, as Discord told them when the bot connected."""

import discord


def place_name(client: discord.Client, place_id: int) -> str | None:
    """Return the name of a role or of a channel, with Discord's sign before it; None if the bot does not see it."""
    for guild in client.guilds:
        if role := guild.get_role(place_id):
            return f"@{role.name.removeprefix('@')}"
        if channel := guild.get_channel_or_thread(place_id):
            return f"#{channel.name}"
    return None
