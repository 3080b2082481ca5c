"""Keeps Discord in step with the ledger: summaries, progress, results, and one audit entry for each finished batch.

It reads the rows, so it also shows batches of the command line and of an earlier process. It needs no interaction's
token, and payouts do not wait for it.
"""

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import discord

from cashback.background.backoff import REQUEST_SECONDS, Backoff
from cashback.background.wakeup import WakeUp
from cashback.cogs.buttons.confirm import view_of
from cashback.cogs.errors import is_unexpected
from cashback.cogs.gateway.gateway_status import GatewayStatus
from cashback.cogs.posts.audit_channel import AuditChannel
from cashback.cogs.posts.messenger import nonce_of
from cashback.cogs.texts import embeds
from cashback.database import Database
from cashback.database.payouts import announcements, batches, proposals
from cashback.database.payouts.announcements import OpenSummary
from cashback.domain.model import BatchStatus
from cashback.services import AdminService

POLL_SECONDS: Final = 60
"""How often the ledger is read if nothing happens: another process may have paid a batch."""

SHORTEST_PAUSE_SECONDS: Final = 0.05
DOUBTED_SECONDS: Final = 5
"""The pause before the next look at a proposal that would have expired if the clock could be believed."""

DM_PROGRESS_SECONDS: Final = 60
FAILURES_LISTED: Final = 50_000
UNKNOWN_MESSAGE: Final = 10008
UNREACHABLE_CODES: Final = frozenset({10003, 50001, 50083})
"""The channel was deleted, the bot may no longer see it, or the thread is archived."""

STOPPING_NOTE: Final = "The bot is stopping. What is paid stays paid; the rest follows after its next start."

DONE: Final = frozenset({BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES, BatchStatus.LAPSED})
CLOSED: Final = frozenset({BatchStatus.CANCELLED, BatchStatus.EXPIRED})
UNDER_WAY: Final = frozenset({BatchStatus.APPROVED, BatchStatus.RUNNING})

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a summary's message shows now; `file` is the full list of failures if they do not fit."""

    embed: discord.Embed
    status: BatchStatus
    file: str | None = None
    is_final: bool = False


@dataclass(slots=True, kw_only=True)
class Shown:
    """What was shown last, and when to update it."""

    status: BatchStatus | None = None
    has_queued: bool = False
    is_waiting: bool = False
    embed: Mapping[str, Any] | None = None
    next_at: float = 0.0
    is_lost: bool = False
    backoff: Backoff = field(default_factory=Backoff)


class SummaryUpdater:
    """Run `run` in a task group, and set `summaries_changed` if there is something new to show."""

    def __init__(
        self,
        client: discord.Client,
        gateway_status: GatewayStatus,
        database: Database,
        service: AdminService,
        summaries_changed: WakeUp,
        audit_channel: AuditChannel,
        *,
        reasons: Mapping[int, str],
        progress_seconds: float,
        is_on_duty: Callable[[], bool],
    ) -> None:
        """Update messages every `progress_seconds`, with the `reasons` of interrupted batches by their numbers.

        `is_on_duty` returns whether this process edits the messages: the edits of two would overtake each other.
        """
        self._client = client
        self._gateway_status = gateway_status
        self._database = database
        self._service = service
        self._summaries_changed = summaries_changed
        self._reasons = reasons
        self._audit_channel = audit_channel
        self._is_on_duty = is_on_duty
        self._progress_seconds = progress_seconds
        self._shown: dict[int, Shown] = {}
        self._stopping = False
        self._passing = anyio.Lock()

    async def run(self) -> None:
        """Update until cancelled. Failures are logged and tried again: they must not end the payouts."""
        while True:
            try:
                pause = await self._pass()
            except Exception as error:
                logger.warning("Discord's messages are not up to date: %s", error, exc_info=is_unexpected(error))
                pause = POLL_SECONDS
            await self._summaries_changed.wait(pause)

    async def show_stopping(self) -> None:
        """Show in the messages of unfinished batches that the bot is stopping."""
        self._stopping = True
        await self._pass()

    async def _pass(self) -> float:
        """Update everything once; return the seconds until the next update."""
        async with self._passing:
            await self._service.expire()
            summaries = await self._database.read(announcements.open_summaries) if self._is_on_duty() else []
            if self._gateway_status.is_online:
                async with anyio.create_task_group() as tasks:
                    for summary in summaries:
                        name = f"summary {summary.batch_number}"
                        tasks.start_soon(self._update_safely, summary, name=name)
                    tasks.start_soon(self._audit_channel.post_due, name="audit entries")
            return self._pause(summaries)

    def _pause(self, summaries: list[OpenSummary]) -> float:
        now = self._database.now()
        pauses: list[float] = [POLL_SECONDS]
        if self._audit_channel.backoff.is_waiting:
            pauses.append(self._audit_channel.backoff.seconds_left)
        for summary in summaries:
            if summary.status is BatchStatus.PROPOSED and summary.expires_at is not None:
                is_late = summary.expires_at <= now
                pauses.append(DOUBTED_SECONDS if is_late else (summary.expires_at - now).total_seconds())
            elif summary.status not in {BatchStatus.PROPOSED, BatchStatus.STOPPED}:
                pauses.append(self._progress_seconds)
        return max(min(pauses), SHORTEST_PAUSE_SECONDS)

    async def _update_safely(self, summary: OpenSummary) -> None:
        """Update one batch's message. If Discord refuses, the pauses between attempts grow."""
        shown = self._shown.setdefault(summary.batch_number, Shown())
        if not self._is_due(summary, shown):
            return
        try:
            with anyio.fail_after(REQUEST_SECONDS):
                await self._update(summary, shown)
            shown.backoff.succeed()
        except Exception as error:
            shown.backoff.fail()
            logger.warning(
                "the message of batch number %d is not up to date: %s",
                summary.batch_number,
                str(error) or type(error).__name__,
                exc_info=is_unexpected(error),
                extra={"batch_number": summary.batch_number},
            )

    def _is_due(self, summary: OpenSummary, shown: Shown) -> bool:
        if summary.status is BatchStatus.PROPOSED and not summary.is_waiting:
            return False
        if shown.is_lost and summary.status not in DONE | CLOSED:
            return False
        if self._stopping:
            return summary.status in UNDER_WAY
        is_news = (summary.status, summary.has_queued, summary.is_waiting) != (
            shown.status,
            shown.has_queued,
            shown.is_waiting,
        )
        return not shown.backoff.is_waiting and (is_news or anyio.current_time() >= shown.next_at)

    async def _update(self, summary: OpenSummary, shown: Shown) -> None:
        rendered = await self._render(summary)
        content = rendered.embed.to_dict()
        if content != shown.embed:
            await self._edit(summary, rendered)
        shown.status, shown.has_queued, shown.embed = summary.status, summary.has_queued, content
        shown.is_waiting = summary.is_waiting
        pause = DM_PROGRESS_SECONDS if summary.status in DONE else self._progress_seconds
        shown.next_at = anyio.current_time() + pause
        if rendered.is_final:
            await self._close(summary)

    async def _close(self, summary: OpenSummary) -> None:
        await self._database.write(announcements.close_summary, summary.batch_number)
        self._shown.pop(summary.batch_number, None)

    async def _render(self, summary: OpenSummary) -> Rendered:
        number = summary.batch_number
        if summary.status is BatchStatus.PROPOSED:
            plan = await self._database.read(proposals.summary, number)
            return Rendered(embed=embeds.summary(plan, self._service.terms_line), status=plan.status)
        if summary.status in CLOSED:
            plan = await self._database.read(proposals.summary, number)
            return Rendered(
                embed=embeds.closed_summary(plan, self._service.terms_line, summary.status),
                status=summary.status,
                is_final=True,
            )
        report = await self._database.read(batches.report, number)
        if report.status is BatchStatus.STOPPED:
            return Rendered(embed=embeds.stopped(report), status=report.status)
        if report.status not in DONE:
            note = STOPPING_NOTE if self._stopping else self._interruption(number)
            return Rendered(embed=embeds.progress(report, note), status=report.status)
        embed, is_clipped = embeds.result(report)
        if not is_clipped:
            return Rendered(embed=embed, status=report.status, is_final=not report.dm_queued)
        full = await self._database.read(batches.report, number, failures=FAILURES_LISTED)
        file = embeds.failures_file(full)
        return Rendered(embed=embed, status=report.status, file=file, is_final=not report.dm_queued)

    def _interruption(self, number: int) -> str | None:
        reason = self._reasons.get(number)
        if reason is None:
            return None
        return f"The batch stopped: {embeds.escaped(reason)}\nWhat is paid stays paid; the rest is tried again soon."

    async def _edit(self, summary: OpenSummary, rendered: Rendered) -> None:
        """Edit the message. If it cannot be edited any more, show the batch elsewhere."""
        channel = self._client.get_partial_messageable(summary.channel_id)
        files = _files(rendered, summary.batch_number)
        view = view_of(summary.batch_number, summary.token, rendered.status)
        try:
            await channel.get_partial_message(summary.message_id).edit(
                embed=rendered.embed, view=view, attachments=files
            )
        except discord.HTTPException as error:
            if error.code == UNKNOWN_MESSAGE:
                await self._replace_deleted(summary, rendered)
            elif error.code in UNREACHABLE_CODES:
                await self._move(summary, rendered)
            else:
                raise

    async def _replace_deleted(self, summary: OpenSummary, rendered: Rendered) -> None:
        """Post a result again in the same channel. Of a closed proposal nothing is left to show."""
        if summary.status in CLOSED:
            await self._lose(summary)
        elif summary.status in DONE:
            await self._post(summary, rendered, summary.channel_id)

    async def _move(self, summary: OpenSummary, rendered: Rendered) -> None:
        """Show the batch in the audit channel from now on: its channel is gone, or its thread archived.

        Without an audit channel a result is posted in the thread, which reopens it; before the end nothing is shown.
        """
        audit_channel_id = self._audit_channel.channel_id
        if summary.status in CLOSED:
            await self._lose(summary)
        elif audit_channel_id is not None and audit_channel_id != summary.channel_id:
            await self._post(summary, rendered, audit_channel_id)
            logger.warning(
                "the message of batch number %d can no longer be edited; the audit channel shows the batch",
                summary.batch_number,
                extra={"batch_number": summary.batch_number},
            )
        elif summary.status in DONE:
            try:
                await self._post(summary, rendered, summary.channel_id)
            except discord.HTTPException as error:
                if error.code not in UNREACHABLE_CODES:
                    raise
                await self._lose(summary)
        else:
            self._shown[summary.batch_number].is_lost = True

    async def _post(self, summary: OpenSummary, rendered: Rendered, channel_id: int) -> None:
        """Post the batch again, and edit that message from now on."""
        view = None if summary.status in DONE else view_of(summary.batch_number, summary.token, rendered.status)
        message = await self._client.get_partial_messageable(channel_id).send(
            embed=rendered.embed,
            view=view or discord.utils.MISSING,
            files=_files(rendered, summary.batch_number),
            nonce=nonce_of(summary.batch_number, summary.message_id, "result"),
        )
        await self._database.write(
            announcements.remember_summary, summary.batch_number, channel_id=channel_id, message_id=message.id
        )

    async def _lose(self, summary: OpenSummary) -> None:
        """Stop editing a message that is gone."""
        logger.warning(
            "the message of batch number %d is gone; `cashback show` and the audit log have the batch",
            summary.batch_number,
            extra={"batch_number": summary.batch_number},
        )
        await self._close(summary)


def _files(rendered: Rendered, number: int) -> list[discord.File]:
    if rendered.file is None:
        return []
    return [discord.File(io.BytesIO(rendered.file.encode()), filename=f"failures-{number}.txt")]
