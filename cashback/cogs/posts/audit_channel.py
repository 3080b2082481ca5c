"""The audit channel: an entry for each finished batch, what is to be known of slots, and lines for somebody."""

import logging
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import anyio

from cashback.background.wakeup import WakeUp
from cashback.cogs.buttons.confirm import view_of
from cashback.cogs.errors import is_unexpected
from cashback.cogs.gateway.client import CashbackClient
from cashback.cogs.posts.backoff import REQUEST_SECONDS, Backoff
from cashback.cogs.posts.idempotent_post import post_once
from cashback.cogs.posts.messenger import nonce_of
from cashback.cogs.posts.slot_posts import SlotPosts
from cashback.cogs.texts import embeds
from cashback.database import Database, audit_log
from cashback.database.payouts import announcements, batches, proposals

ANNOUNCED_DAYS: Final = 7
"""A batch that finished longer ago is not announced: a file that is new to the bot may hold years of them."""

ENTRIES_AT_ONCE: Final = 20
LINES_KEPT: Final = 50

logger = logging.getLogger(__name__)


class AuditChannel:
    """Posts what is missing, in order. What Discord refuses is posted later, also after a restart."""

    slot_posts: SlotPosts

    def __init__(
        self,
        client: CashbackClient,
        database: Database,
        bell: WakeUp,
        *,
        channel_id: int | None,
        is_on_duty: Callable[[], bool],
    ) -> None:
        """Take the connection, the ledger, the bell that wakes the announcer, and the channel, if there is one.

        `is_on_duty` tells whether this is the process that posts what the ledger holds; lines of its own each says.
        """
        self._is_on_duty = is_on_duty
        self._client = client
        self._database = database
        self._bell = bell
        self._channel_id = channel_id
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self.pace = Backoff()

    async def tell(self, text: str) -> None:
        """Say one line, as soon as Discord takes it; nobody waits for that here."""
        self._lines.append(text)
        self._bell.set()

    async def post_due(self) -> None:
        """Post what is missing; the first that fails ends this round, and the rest waits for the next."""
        if self._channel_id is None or self.pace.is_waiting:
            return
        try:
            if self._is_on_duty():
                await self._post_records(self._channel_id)
            with anyio.fail_after(REQUEST_SECONDS):
                await self._say_lines(self._channel_id)
            self.pace.succeed()
        except Exception as error:
            self.pace.fail()
            reason = str(error) or type(error).__name__
            logger.warning(
                "the audit channel %d does not show all yet: %s",
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
            await self.slot_posts.post_due(channel_id)

    async def _say_lines(self, channel_id: int) -> None:
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
        """Show a batch that nobody typed a command for, with the buttons by which an admin decides on it."""
        plan = await self._database.read(proposals.summary, number)
        message = await self._client.get_partial_messageable(channel_id).send(
            embed=embeds.summary(plan), view=view_of(number, plan.status), nonce=nonce_of(number, "approval")
        )
        await self._database.write(announcements.remember_summary, number, channel_id=channel_id, message_id=message.id)
