"""The audit channel: an entry for each finished batch, notices and outcomes of slots, daily heads, and single lines."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import anyio
import discord

from cashback.background.backoff import REQUEST_SECONDS, Backoff
from cashback.cogs.buttons.confirm import view_of
from cashback.cogs.buttons.second_admin import allowed
from cashback.cogs.errors import is_unexpected
from cashback.cogs.posts.audit_lines import AuditLines
from cashback.cogs.posts.daily_head import DailyHead
from cashback.cogs.posts.idempotent_post import post_once
from cashback.cogs.posts.messenger import nonce_of
from cashback.cogs.posts.slot_posts import SlotPosts
from cashback.cogs.texts import embeds
from cashback.database import Database, audit_log
from cashback.database.payouts import announcements, batches, proposals

ANNOUNCED_DAYS: Final = 7
"""Batches that finished longer ago are not announced: a ledger that is new to the bot may hold years of them."""

ENTRIES_AT_ONCE: Final = 20

logger = logging.getLogger(__name__)


class AuditChannel:
    """Posts missing entries in order. If Discord refuses one, it is posted later, also after a restart."""

    def __init__(
        self,
        client: discord.Client,
        database: Database,
        lines: AuditLines,
        slot_posts: SlotPosts,
        *,
        channel_id: int | None,
        is_on_duty: Callable[[], bool],
        terms: Callable[[], str],
        admin_role_id: int | None,
    ) -> None:
        """Post to the channel `channel_id`, if there is one.

        `is_on_duty` returns whether this process posts entries from the ledger. Each process posts its own lines.
        `terms` returns the terms in force. The admin role is mentioned if a batch needs an admin.
        """
        self._is_on_duty = is_on_duty
        self._client = client
        self._database = database
        self._slot_posts = slot_posts
        self._daily_head = DailyHead(client, database)
        self._terms = terms
        self._admin_role_id = admin_role_id
        self._channel_id = channel_id
        self._lines = lines.waiting
        self.backoff = Backoff()

    @property
    def channel_id(self) -> int | None:
        """The channel's id, None if none is configured."""
        return self._channel_id

    async def post_due(self) -> None:
        """Post what is missing. The first failure ends this round; the rest waits for the next one."""
        if self._channel_id is None or self.backoff.is_waiting:
            return
        try:
            if self._is_on_duty():
                await self._post_records(self._channel_id)
            with anyio.fail_after(REQUEST_SECONDS):
                await self._post_lines(self._channel_id)
            self.backoff.succeed()
        except Exception as error:
            self.backoff.fail()
            reason = str(error) or type(error).__name__
            logger.warning(
                "the audit channel %d is not up to date: %s",
                self._channel_id,
                reason,
                exc_info=is_unexpected(error),
            )

    async def _post_records(self, channel_id: int) -> None:
        since = self._database.now() - timedelta(days=ANNOUNCED_DAYS)
        for number in await self._database.read(announcements.audits_due, since=since, limit=ENTRIES_AT_ONCE):
            with anyio.fail_after(REQUEST_SECONDS):
                await self._post(number, channel_id)
        for number in await self._database.read(announcements.waiting_unseen):
            with anyio.fail_after(REQUEST_SECONDS):
                await self._ask_for_approval(number, channel_id)
        with anyio.fail_after(REQUEST_SECONDS):
            await self._slot_posts.post_due(channel_id)
        with anyio.fail_after(REQUEST_SECONDS):
            await self._daily_head.post_due(channel_id)

    async def _post_lines(self, channel_id: int) -> None:
        channel = self._client.get_partial_messageable(channel_id)
        while self._lines:
            await channel.send(embed=embeds.notice(embeds.readable(self._lines[0])))
            self._lines.popleft()

    async def _post(self, number: int, channel_id: int) -> None:
        report = await self._database.read(batches.report, number)
        embed = embeds.audit(report, await self._database.read(audit_log.head_at_end_of, number))
        is_first = await self._database.write(announcements.claim_audit, number, channel_id=channel_id)
        channel = self._client.get_partial_messageable(channel_id)
        message_id = await post_once(channel, embed, nonce=nonce_of(report.batch_id, "audit"), is_first=is_first)
        await self._database.write(announcements.mark_audit_posted, number, message_id=message_id)

    async def _ask_for_approval(self, number: int, channel_id: int) -> None:
        """Post the summary of a batch of the schedule, with its buttons for the admins."""
        plan = await self._database.read(proposals.summary, number)
        role_id = self._admin_role_id
        message = await self._client.get_partial_messageable(channel_id).send(
            None if role_id is None else f"<@&{role_id}>",
            allowed_mentions=allowed(role_id),
            embed=embeds.summary(plan, self._terms()),
            view=view_of(number, plan.token, plan.status),
            nonce=nonce_of(number, plan.token, "approval"),
        )
        await self._database.write(announcements.remember_summary, number, channel_id=channel_id, message_id=message.id)
