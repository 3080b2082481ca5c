"""Posts the audit log's head in the audit channel once a day, out of reach of a person with access to the ledger."""

import discord

from cashback.cogs.posts.messenger import nonce_of
from cashback.cogs.texts import embeds
from cashback.database import Database, audit_heads
from cashback.database.audit_heads import Head


class DailyHead:
    """Posts the head that is due. If Discord refuses it, this raises, and a later round posts it."""

    def __init__(self, client: discord.Client, database: Database) -> None:
        self._client = client
        self._database = database
        self._posted: Head | None = None

    async def post_due(self, channel_id: int) -> None:
        """Post the head if none was posted today, and record it."""
        head = await self._database.read(audit_heads.due, now=self._database.now())
        if head is None:
            return
        if head != self._posted:
            channel = self._client.get_partial_messageable(channel_id)
            await channel.send(embed=embeds.audit_head(head.entry, head.digest), nonce=nonce_of(head.digest, "head"))
            # If the record fails, for example because the ledger is locked, the post is not repeated.
            self._posted = head
        await self._database.write(audit_heads.note_posted, head, now=self._database.now())
