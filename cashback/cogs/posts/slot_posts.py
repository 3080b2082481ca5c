"""Posts about slots in the audit channel: a notice before each slot, and a reason if a slot made no batch."""

from datetime import datetime, timedelta
from typing import Final

import discord
from discord.ui import View

from cashback.cogs.buttons.skip_slot import skip_slot_view, unskip_slot_view
from cashback.cogs.posts.idempotent_post import is_gone, post_once
from cashback.cogs.posts.messenger import nonce_of
from cashback.cogs.texts import schedule_embeds
from cashback.database import Database
from cashback.database.schedule import slot_posts, slots
from cashback.database.schedule.slot_posts import SlotPostKind
from cashback.domain.model import OpenNotice, SlotRecord, SlotStatus
from cashback.services import AdminService

ANNOUNCED_DAYS: Final = 7
"""Slots that were decided longer ago are not announced."""

LINES_AT_ONCE: Final = 20


class SlotPosts:
    """Posts missing notices and outcomes. If Discord refuses one, this raises, and a later round posts it."""

    def __init__(self, client: discord.Client, database: Database, service: AdminService) -> None:
        self._client = client
        self._database = database
        self._service = service

    async def post_due(self, channel_id: int) -> None:
        """Post the notice that is due, close notices of decided slots, and post slots without a batch."""
        slot_at = await self._database.read(slot_posts.notice_due, now=self._database.now())
        # A slot is announced once: a clock that is ahead would use up the notices of later ones.
        if slot_at is not None and not self._service.clock_check.is_doubted:
            await self._post_notice(slot_at, channel_id)
        for notice in await self._database.read(slot_posts.reopened_notices):
            await self._reopen(notice)
        for notice in await self._database.read(slot_posts.closed_notices):
            await self._close(notice)
        since = self._database.now() - timedelta(days=ANNOUNCED_DAYS)
        for record in await self._database.read(slots.without_batch, since=since, limit=LINES_AT_ONCE):
            await self._post_outcome(record, channel_id)

    async def _post_notice(self, slot_at: datetime, channel_id: int) -> None:
        embed = schedule_embeds.notice(slot_at, await self._service.preview())
        is_first = await self._database.write(
            slot_posts.claim_notice, slot_at, channel_id=channel_id, now=self._database.now()
        )
        if is_first is not None:
            await self._post(slot_at, SlotPostKind.NOTICE, channel_id, embed, is_first=is_first)

    async def _post_outcome(self, record: SlotRecord, channel_id: int) -> None:
        is_first = await self._database.write(
            slot_posts.claim, record.slot_at, SlotPostKind.OUTCOME, channel_id=channel_id
        )
        embed = schedule_embeds.no_batch(record)
        await self._post(record.slot_at, SlotPostKind.OUTCOME, channel_id, embed, is_first=is_first)

    async def _post(
        self, slot_at: datetime, kind: SlotPostKind, channel_id: int, embed: discord.Embed, *, is_first: bool
    ) -> None:
        message_id = await post_once(
            self._client.get_partial_messageable(channel_id),
            embed,
            nonce=nonce_of(slot_at.isoformat(), kind),
            is_first=is_first,
            view=skip_slot_view(slot_at) if kind is SlotPostKind.NOTICE else None,
        )
        await self._database.write(slot_posts.mark_posted, slot_at, kind, message_id=message_id)

    async def _close(self, notice: OpenNotice) -> None:
        embed, view = schedule_embeds.closed_notice(notice), skip_slot_view(notice.slot_at, disabled=True)
        is_skipped = notice.record is not None and notice.record.status is SlotStatus.SKIPPED
        if is_skipped and notice.slot_at > self._database.now():
            view = unskip_slot_view(notice.slot_at)
        await self._edit(notice, embed, view)
        await self._database.write(slot_posts.close_notice, notice.slot_at)

    async def _reopen(self, notice: OpenNotice) -> None:
        embed = schedule_embeds.notice(notice.slot_at, await self._service.preview())
        is_there = await self._edit(notice, embed, skip_slot_view(notice.slot_at))
        await self._database.write(slot_posts.open_notice, notice.slot_at, is_gone=not is_there)

    async def _edit(self, notice: OpenNotice, embed: discord.Embed, view: View) -> bool:
        """Edit a notice; return whether its message is still there."""
        message = self._client.get_partial_messageable(notice.channel_id).get_partial_message(notice.message_id)
        try:
            await message.edit(embed=embed, view=view)
        except discord.HTTPException as error:
            if not is_gone(error):
                raise
            return False
        return True
