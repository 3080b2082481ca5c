"""Batches and their payouts in pages on Discord. The buttons carry what is shown, so that they work after a restart."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, Self

import discord
from discord.ui import Button, DynamicItem, View

from cashback.cogs.buttons.presses import ClaimedButton, actor_of, show_instead
from cashback.cogs.texts import embeds
from cashback.database import Database
from cashback.database.payouts import batches
from cashback.database.queries import browsing, history
from cashback.database.queries.history import BatchFilter
from cashback.domain.model import BatchStatus, PayoutStatus
from cashback.domain.money import dollars
from cashback.services import AdminService

BATCHES_SHOWN: Final = 8
PAYOUTS_SHOWN: Final = 15


class HistoryPager:
    """Makes the pages, for who may look."""

    def __init__(self, database: Database, service: AdminService) -> None:
        """Take the ledger, and the service, which knows who may look."""
        self._database = database
        self.service = service

    async def history(self, wanted: BatchFilter, number: int) -> tuple[discord.Embed, View]:
        """Show a page of the batches that are wanted, from 1."""
        offset = (number - 1) * BATCHES_SHOWN
        found = await self._database.read(history.page, wanted, limit=BATCHES_SHOWN + 1, offset=offset)
        embed = discord.Embed(title="🧾 Referral Cashback Batches", colour=discord.Colour.blurple())
        for batch in found[:BATCHES_SHOWN]:
            embed.add_field(name=_headline(batch), value=_line(batch), inline=False)
        if not found:
            embed.description = "There is no such batch." if number == 1 else "There are no more batches."
        view = View(timeout=None)
        if number > 1 or len(found) > BATCHES_SHOWN:
            view.add_item(HistoryButton("Previous", number - 1, wanted, disabled=number == 1))
            view.add_item(HistoryButton("Next", number + 1, wanted, disabled=len(found) <= BATCHES_SHOWN))
        return embed.set_footer(text=f"Page {number:,}"), view

    async def payouts(self, number: int, after_referrer_id: int) -> tuple[discord.Embed, View]:
        """Show a batch with the page of its payouts that follows a referrer."""
        report = await self._database.read(batches.report, number, failures=0)
        page = await self._database.read(
            browsing.payouts_page, number, after_referrer_id=after_referrer_id, limit=PAYOUTS_SHOWN
        )
        embed = discord.Embed(
            title=f"🧾 {report.batch_id or f'Batch number {number}'}",
            description=f"**{report.status.replace('_', ' ').capitalize()}**, {report.mode}, proposed by"
            f" {embeds.named(report.proposed_by)} {discord.utils.format_dt(report.proposed_at, 'f')}",
            colour=discord.Colour.blurple(),
        )
        paid = f"{dollars(report.total_cents)} to {embeds.counted(report.users_paid, 'user')}"
        embed.add_field(name="Paid", value=paid, inline=True)
        embed.add_field(name="Approved", value=f"{dollars(report.approved_cents)} to {report.users_planned:,}")
        embed.add_field(name="Failed, Skipped", value=f"{report.failed:,}, {report.skipped:,}", inline=True)
        lines = "\n".join(_payout(row) for row in page.rows) or "none"
        embed.add_field(name="Payouts", value=embeds.clip(lines, embeds.FIELD_LENGTH), inline=False)
        view = View(timeout=None)
        if after_referrer_id or page.next_after is not None:
            view.add_item(PayoutsButton("First", number, 0, disabled=not after_referrer_id))
            before = await self._database.read(
                browsing.page_before, number, after_referrer_id=after_referrer_id, limit=PAYOUTS_SHOWN
            )
            view.add_item(PayoutsButton("Previous", number, before, disabled=not after_referrer_id))
            view.add_item(PayoutsButton("Next", number, page.next_after or 0, disabled=page.next_after is None))
        return embed, view


def _headline(batch: dict[str, Any]) -> str:
    name = batch["batch_id"] or f"Batch number {batch['number']}"
    return f"{name} · {batch['status'].replace('_', ' ')}"


def _line(batch: dict[str, Any]) -> str:
    paid = f"**{dollars(batch['total_cents'])}** to {embeds.counted(batch['users_paid'], 'user')}"
    if batch["batch_id"] is None:
        paid = f"{dollars(batch['planned_cents'])} planned for {embeds.counted(batch['planned_count'], 'user')}"
    failed = f", {batch['failed']:,} failed" if batch["failed"] else ""
    who = embeds.named(batch["approved_by"] or batch["proposed_by"])
    return f"{paid}{failed} · {batch['mode']} · {who} · {discord.utils.format_dt(batch['proposed_at'], 'f')}"


def _payout(row: dict[str, Any]) -> str:
    is_credited = row["status"] == PayoutStatus.CREDITED
    cents = row["paid_cents"] if is_credited else row["approved_cents"]
    said = "" if is_credited else f" {row['status']}"
    reason = f": {embeds.escaped(embeds.clip(row['reason'], 20))}" if row["reason"] and not is_credited else ""
    return f"{embeds.mention(row['referrer_id'])} {dollars(cents)}{said}{reason}"


Page = tuple[discord.Embed, View]


async def _turn(
    interaction: discord.Interaction[Any], what: str, make: Callable[[HistoryPager], Awaitable[Page]]
) -> None:
    """Turn a page for admins and viewers; other members are told why not, alone."""
    browser: HistoryPager = interaction.client.browser

    async def page() -> Page:
        await browser.service.require_viewer(actor_of(interaction.user), what)
        return await make(browser)

    await show_instead(interaction, page)


class HistoryButton(
    ClaimedButton,
    DynamicItem[Button[View]],
    template=r"cashback:history:(?P<label>Previous|Next):(?P<number>[0-9]{1,9}):(?P<status>[a-z_]*):(?P<user>[0-9]*)"
    r":(?P<since>[0-9]*):(?P<until>[0-9]*)",
):
    """Leads to another page of the batches that are wanted."""

    def __init__(self, label: str, number: int, wanted: BatchFilter, *, disabled: bool = False) -> None:
        """Take the page that it leads to, and which batches are wanted."""
        since, until = (str(int(each.timestamp())) if each else "" for each in (wanted.since, wanted.until))
        key = f"{number}:{wanted.status or ''}:{wanted.user_id or ''}:{since}:{until}"
        super().__init__(Button(label=label, custom_id=f"cashback:history:{label}:{key}", disabled=disabled))
        self.number = number
        self.wanted = wanted

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 -- the library's signature
        item: discord.ui.Item[Any],  # noqa: ARG003 -- the library passes it
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the button that was pressed."""
        wanted = BatchFilter(
            status=BatchStatus(match["status"]) if match["status"] else None,
            user_id=int(match["user"]) if match["user"] else None,
            since=_moment(match["since"]),
            until=_moment(match["until"]),
        )
        return cls(match["label"], int(match["number"]), wanted)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Turn the page."""
        await _turn(interaction, "look at batches", lambda browser: browser.history(self.wanted, max(self.number, 1)))


class PayoutsButton(
    ClaimedButton,
    DynamicItem[Button[View]],
    template=r"cashback:payouts:(?P<label>First|Previous|Next):(?P<number>[0-9]{1,18}):(?P<after>[0-9]{1,19})",
):
    """Leads to another page of a batch's payouts."""

    def __init__(self, label: str, number: int, after_referrer_id: int, *, disabled: bool = False) -> None:
        """Take the batch, and the referrer after whom the page begins."""
        custom_id = f"cashback:payouts:{label}:{number}:{after_referrer_id}"
        super().__init__(Button(label=label, custom_id=custom_id, disabled=disabled))
        self.number = number
        self.after_referrer_id = after_referrer_id

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 -- the library's signature
        item: discord.ui.Item[Any],  # noqa: ARG003 -- the library passes it
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the button that was pressed."""
        return cls(match["label"], int(match["number"]), int(match["after"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Turn the page."""
        await _turn(
            interaction, "look at payouts", lambda browser: browser.payouts(self.number, self.after_referrer_id)
        )


def _moment(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
