"""Checks of the audit channel: that it exists, that messages can be posted in it, and that the bot may."""

from typing import Final

import discord

UNKNOWN_CHANNEL: Final = 10003
MISSING_ACCESS: Final = 50001
SETTING: Final = "logging_channels.audit"
ADVICE: Final = "set it to a text channel's id"

WITHOUT_MESSAGES: Final = {
    discord.ChannelType.category: "a category, which only groups channels",
    discord.ChannelType.forum: "a forum, which has only posts",
    discord.ChannelType.media: "a media channel, which has only posts",
    discord.ChannelType.private: "a direct message",
    discord.ChannelType.group: "a group of people",
}
THREADS: Final = frozenset(
    {discord.ChannelType.news_thread, discord.ChannelType.public_thread, discord.ChannelType.private_thread}
)
WRITABLE: Final = frozenset(
    {
        discord.ChannelType.text,
        discord.ChannelType.news,
        discord.ChannelType.voice,
        discord.ChannelType.stage_voice,
        *THREADS,
    }
)
NEEDED: Final = ("view_channel", "send_messages", "embed_links", "attach_files", "read_message_history")
NEEDED_IN_THREADS: Final = ("view_channel", "send_messages_in_threads", *NEEDED[2:])


async def check_channel(client: discord.Client, guilds: list[discord.Guild], channel_id: int) -> tuple[bool, str]:
    """Return whether the bot can post in a channel, and a line that explains it. Raises what Discord answers."""
    try:
        found = await client.http.get_channel(channel_id)
    except discord.HTTPException as error:
        if error.code == MISSING_ACCESS:
            return False, f"{SETTING} is {channel_id}, but the bot may not see that channel; let it"
        if error.code != UNKNOWN_CHANNEL:
            raise
        return False, f"{SETTING} is {channel_id}, but there is no such channel; set it to a channel's id"
    guild = next((each for each in guilds if str(each.id) == str(found.get("guild_id"))), None)
    kind = discord.enums.try_enum(discord.ChannelType, found["type"])
    wrong = WITHOUT_MESSAGES.get(kind)
    name = f"{SETTING} is {channel_id}, #{found.get('name')},"
    if wrong is not None:
        return False, f"{name} {wrong}; {ADVICE}"
    if guild is None:
        return False, f"{name} a channel of another server; {ADVICE}"
    if kind not in WRITABLE:
        return False, f"{name} a channel of a type that this program does not know ({found['type']}); {ADVICE}"
    return await _check_permissions(client, guild, channel_id)


async def _check_permissions(client: discord.Client, guild: discord.Guild, channel_id: int) -> tuple[bool, str]:
    if client.user is None:
        return False, "the bot is not logged in"
    channel = await guild.fetch_channel(channel_id)
    needed, place = NEEDED, channel
    if isinstance(channel, discord.Thread):
        if channel.archived and channel.locked:
            return False, f"{SETTING} is {channel_id}, #{channel.name}, a locked thread; {ADVICE}"
        needed, place = NEEDED_IN_THREADS, await guild.fetch_channel(channel.parent_id)
    permissions = place.permissions_for(await guild.fetch_member(client.user.id))
    missing = [name.replace("_", " ") for name in needed if not getattr(permissions, name)]
    if missing:
        return False, f"the bot lacks permissions in #{channel.name}: {', '.join(missing)}; grant them"
    return True, f"the bot may write in #{channel.name}"
