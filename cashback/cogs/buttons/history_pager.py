"""Batches and their payouts in pages on Discord. The buttons carry what is shown."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, Self

import discord
from discord.ui import Button, View

from cashback.cogs.actors import actor_of
from cashback.cogs.buttons.presses import ClaimedButton, button_row, show_instead
from cashback.cogs.buttons.services import ButtonServices
from cashback.cogs.texts import embeds
from cashback.database import Database
from cashback.database.payouts import batches
from cashback.database.queries import history, payout_pages
from cashback.database.queries.history import BatchFilter
from cashback.domain.model import BatchStatus, PayoutStatus
from cashback.domain.money import dollars, grouped
from cashback.domain.reason_texts import in_words

BATCHES_SHOWN: Final = 8
PAYOUTS_SHOWN: Final = 15
REASON_LENGTH: Final = 24

Page = tuple[discord.Embed, View]


class HistoryPager:
    """Returns pages of batches and of payouts, each with its buttons."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def history(self, batch_filter: BatchFilter, number: int) -> Page:
        """Return a page of the batches that pass the filter; the first page is 1."""
        offset = (number - 1) * BATCHES_SHOWN
        found = await self._database.read(history.page, batch_filter, limit=BATCHES_SHOWN + 1, offset=offset)
        embed = discord.Embed(title="🧾 Referral Cashback Batches", colour=discord.Colour.blurple())
        for batch in found[:BATCHES_SHOWN]:
            embed.add_field(name=_headline(batch), value=_line(batch), inline=False)
        if not found:
            embed.description = "There is no such batch." if number == 1 else "There are no more batches."
        embed.set_footer(text=f"Page {grouped(number)}")
        if number == 1 and len(found) <= BATCHES_SHOWN:
            return embed, button_row()
        return embed, button_row(
            HistoryButton("Previous", number - 1, batch_filter, disabled=number == 1),
            HistoryButton("Next", number + 1, batch_filter, disabled=len(found) <= BATCHES_SHOWN),
        )

    async def payouts(self, number: int, after_referrer_id: int) -> Page:
        """Return a batch with the page of its payouts that follows a referrer."""
        report = await self._database.read(batches.report, number, failures=0)
        page = await self._database.read(
            payout_pages.payouts_page, number, after_referrer_id=after_referrer_id, limit=PAYOUTS_SHOWN
        )
        embed = discord.Embed(
            title=f"🧾 {report.batch_id or f'Batch number {number}'}",
            description=f"**{report.status.replace('_', ' ').capitalize()}**, {report.mode}, proposed by"
            f" {embeds.named(report.proposed_by)} {discord.utils.format_dt(report.proposed_at, 'f')}",
            colour=discord.Colour.blurple(),
        )
        paid = f"{dollars(report.total_cents)} to {embeds.counted(report.users_paid, 'user')}"
        embed.add_field(name="Paid", value=paid, inline=True)
        embed.add_field(name="Approved", value=f"{dollars(report.approved_cents)} to {grouped(report.users_planned)}")
        embed.add_field(
            name="Failed, Skipped", value=f"{grouped(report.failed)}, {grouped(report.skipped)}", inline=True
        )
        if report.reversed_count:
            embed.add_field(name="Reversed", value=dollars(report.reversed_cents), inline=True)
            embed.add_field(name="Net", value=dollars(report.net_cents), inline=True)
        lines = "\n".join(_payout(row) for row in page.rows) or "none"
        embed.add_field(name="Payouts", value=embeds.clip(lines, embeds.FIELD_LENGTH), inline=False)
        if not after_referrer_id and page.next_after is None:
            return embed, button_row()
        before = await self._database.read(
            payout_pages.page_before, number, after_referrer_id=after_referrer_id, limit=PAYOUTS_SHOWN
        )
        return embed, button_row(
            PayoutsButton("First", number, 0, disabled=not after_referrer_id),
            PayoutsButton("Previous", number, before, disabled=not after_referrer_id),
            PayoutsButton("Next", number, page.next_after or 0, disabled=page.next_after is None),
        )


def _headline(batch: dict[str, Any]) -> str:
    name = batch["batch_id"] or f"Batch number {batch['number']}"
    return f"{name} · {batch['status'].replace('_', ' ')}"


def _line(batch: dict[str, Any]) -> str:
    paid = f"**{dollars(batch['total_cents'])}** to {embeds.counted(batch['users_paid'], 'user')}"
    if batch["batch_id"] is None:
        paid = f"{dollars(batch['planned_cents'])} planned for {embeds.counted(batch['planned_count'], 'user')}"
    if batch["reversed_cents"]:
        paid += f", {dollars(batch['reversed_cents'])} reversed, **{dollars(batch['net_cents'])}** net"
    failed = f", {grouped(batch['failed'])} failed" if batch["failed"] else ""
    actor = embeds.named(batch["approved_by"] or batch["proposed_by"])
    return f"{paid}{failed} · {batch['mode']} · {actor} · {discord.utils.format_dt(batch['proposed_at'], 'f')}"


def _payout(row: dict[str, Any]) -> str:
    is_credited = row["status"] == PayoutStatus.CREDITED
    cents = row["paid_cents"] if is_credited else row["approved_cents"]
    status = "" if is_credited else f" {row['status']}"
    why = row["reason"] if not is_credited else None
    reason = f": {embeds.escaped(embeds.clip(in_words(why), REASON_LENGTH))}" if why else ""
    back = f", {dollars(row['reversed_cents'])} reversed" if row["reversed_cents"] else ""
    return f"{embeds.mention(row['referrer_id'])} {dollars(cents)}{back}{status}{reason}"


async def _turn(
    interaction: discord.Interaction[Any],
    services: ButtonServices,
    what: str,
    make: Callable[[HistoryPager], Awaitable[Page]],
) -> None:
    """Turn a page for admins and viewers; only the member at the button sees a refusal."""

    async def page() -> Page:
        await services.service.require_viewer(actor_of(interaction.user), what)
        return await make(HistoryPager(services.database))

    await show_instead(interaction, page)


class HistoryButton(
    ClaimedButton,
    template=r"cashback:history:(?P<label>Previous|Next):(?P<number>[0-9]{1,9}):(?P<status>[a-z_]*):(?P<user>[0-9]*)"
    r":(?P<since>[0-9]*):(?P<until>[0-9]*)",
):
    """Turns to another page of the batches."""

    def __init__(self, label: str, number: int, batch_filter: BatchFilter, *, disabled: bool = False) -> None:
        """Create the button that turns to the page `number`."""
        since, until = (str(int(each.timestamp())) if each else "" for each in (batch_filter.since, batch_filter.until))
        key = f"{number}:{batch_filter.status or ''}:{batch_filter.user_id or ''}:{since}:{until}"
        super().__init__(Button(label=label, custom_id=f"cashback:history:{label}:{key}", disabled=disabled))
        self.number = number
        self.batch_filter = batch_filter

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        batch_filter = BatchFilter(
            status=BatchStatus(match["status"]) if match["status"] else None,
            user_id=int(match["user"]) if match["user"] else None,
            since=_moment(match["since"]),
            until=_moment(match["until"]),
        )
        return cls(match["label"], int(match["number"]), batch_filter)

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Turn the page."""
        number = max(self.number, 1)
        await _turn(interaction, services, "look at batches", lambda pager: pager.history(self.batch_filter, number))


class PayoutsButton(
    ClaimedButton,
    template=r"cashback:payouts:(?P<label>First|Previous|Next):(?P<number>[0-9]{1,18}):(?P<after>[0-9]{1,19})",
):
    """Turns to another page of a batch's payouts."""

    def __init__(self, label: str, number: int, after_referrer_id: int, *, disabled: bool = False) -> None:
        """Create the button of a batch; the page begins after the referrer `after_referrer_id`."""
        custom_id = f"cashback:payouts:{label}:{number}:{after_referrer_id}"
        super().__init__(Button(label=label, custom_id=custom_id, disabled=disabled))
        self.number = number
        self.after_referrer_id = after_referrer_id

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(match["label"], int(match["number"]), int(match["after"]))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Turn the page."""
        await _turn(
            interaction, services, "look at payouts", lambda pager: pager.payouts(self.number, self.after_referrer_id)
        )


def _moment(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
