"""The heads of the audit log in the audit channel, read over HTTP: a restored backup may lack some of them."""

import re
from dataclasses import dataclass
from typing import Final

import discord

from cashback.cogs.errors import DISCORD_FAILURES, brief
from cashback.cogs.gateway.request_limits import limiting_trace, request_limits
from cashback.domain.errors import CashbackError

READ: Final = 500
"""Messages read at most: a year of daily heads and weekly batches."""

REQUEST_SECONDS: Final = 30
HEAD: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedHead:
    """A head in the audit channel, and what its post said of a batch: its ID, the total and the payees; else None."""

    digest: str
    batch: str | None


async def read(token: str, channel_id: int) -> list[PostedHead]:
    """Read the heads that this bot has posted, oldest first. Raises CashbackError if Discord does not answer."""
    client = discord.Client(intents=discord.Intents.none(), http_trace=limiting_trace())
    try:
        async with client:
            await client.login(token)
            with request_limits(client, REQUEST_SECONDS):
                messages = [message async for message in client.get_partial_messageable(channel_id).history(limit=READ)]
        own = [message for message in messages if client.user is not None and message.author.id == client.user.id]
    except DISCORD_FAILURES as error:
        reason = brief(error)
        raise CashbackError(f"The audit channel cannot be read ({reason}).") from error
    return [found for message in reversed(own) for embed in message.embeds if (found := _head_in(embed)) is not None]


def _head_in(embed: discord.Embed) -> PostedHead | None:
    fields = {field.name: (field.value or "").strip("`") for field in embed.fields}
    digest = fields.get("Audit Head", "")
    if not HEAD.fullmatch(digest):
        return None
    batch_id = fields.get("Batch ID")
    text = f"{batch_id}: {fields.get('Total Amount')} to {fields.get('Users Paid')}" if batch_id else None
    return PostedHead(digest=digest, batch=text)
