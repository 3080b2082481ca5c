"""Posts a message once, even if the process dies between the post and its record in the ledger."""

from typing import Final

import discord

HISTORY_LOOKED_AT: Final = 100
UNKNOWN_CHANNEL: Final = 10003
UNKNOWN_MESSAGE: Final = 10008


async def post_once(
    channel: discord.PartialMessageable,
    embed: discord.Embed,
    *,
    nonce: str,
    is_first: bool,
    view: discord.ui.View | None = None,
) -> int:
    """Post an embed and return its message's id. If an earlier attempt may have posted it, look for it first."""
    message_id = None if is_first else await _find(channel, embed)
    if message_id is not None:
        return message_id
    if view is None:
        return (await channel.send(embed=embed, nonce=nonce)).id
    return (await channel.send(embed=embed, nonce=nonce, view=view)).id


async def _find(channel: discord.PartialMessageable, embed: discord.Embed) -> int | None:
    """Return the message of an earlier attempt, recognised by title and footer; None if there is no such message."""
    async for message in channel.history(limit=HISTORY_LOOKED_AT):
        if any((each.title, each.footer.text) == (embed.title, embed.footer.text) for each in message.embeds):
            return message.id
    return None


def is_gone(error: discord.HTTPException) -> bool:
    """Return whether the message, or its channel, was deleted."""
    return error.code in {UNKNOWN_CHANNEL, UNKNOWN_MESSAGE}
