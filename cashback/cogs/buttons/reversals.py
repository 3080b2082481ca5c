"""The message of a reversal and its buttons: what would be taken back, who decides, and what was taken."""

import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final, Protocol, Self

import discord
from discord.ui import Button, DynamicItem, View

from cashback.cogs.buttons.presses import ClaimedButton, act_on_press
from cashback.cogs.texts import embeds
from cashback.database import Database
from cashback.database.queries import members
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import Reversal, ReversalStatus
from cashback.domain.money import dollars
from cashback.services import Actor, AdminService

MEMBERS_TOLD: Final = 100
"""Of a reversal that concerns more, those who lose most are told; everyone reads it in `/cashback`."""


class Notes(Protocol):
    """Sends notes to members."""

    def tell(self, user_id: int, embed: discord.Embed, *, cause: object) -> None:
        """Have a note sent; nobody waits for it."""
        ...


class Reversals:
    """Acts on the buttons: asks the service, and shows in the message how the reversal stands then."""

    def __init__(
        self, database: Database, service: AdminService, tell: Callable[[str], Awaitable[None]], notes: Notes
    ) -> None:
        """Take the ledger for reading, the service, who says one line in the audit channel, and who tells members."""
        self._database = database
        self._service = service
        self._tell = tell
        self._notes = notes

    async def decide(self, interaction: discord.Interaction[Any], action: "ReversalAction", number: int) -> None:
        """Act for who pressed."""

        async def act(actor: Actor) -> None:
            if interaction.message is None:
                raise StaleBatchError("This message is gone; nothing was done.")
            decide = (
                self._service.cancel_reversal if action is ReversalAction.CANCEL else self._service.approve_reversal
            )
            reversal = await decide(actor, number)
            if reversal.status is ReversalStatus.DONE:
                await self._tell(_told(reversal))
                await self._tell_members(reversal)
            await interaction.message.edit(embed=show(reversal), view=ReversalView(reversal))

        await act_on_press(interaction, act, extra={"reversal": number})

    async def _tell_members(self, reversal: Reversal) -> None:
        """Tell each of whom something was taken, but who wants no messages, what and why; of very many the first."""
        taken = await self._database.read(members.told_of_reversal, reversal.number, limit=MEMBERS_TOLD)
        for user_id, cents in taken:
            embed = embeds.warning(
                "Referral Cashback Taken Back",
                f"{dollars(cents)} of {reversal.batch_id} was taken back from your wallet."
                f"\n**Reason:** {embeds.escaped(reversal.reason)}",
            )
            self._notes.tell(user_id, embed, cause=f"reversal {reversal.number}")


class ReversalAction(StrEnum):
    """What a button does."""

    CONFIRM = "confirm"
    APPROVE = "approve"
    CANCEL = "cancel"


class ReversalButton(
    ClaimedButton,
    DynamicItem[Button[View]],
    template=r"cashback:reversal-(?P<action>confirm|approve|cancel):(?P<number>[0-9]{1,18})",
):
    """A button under a reversal. Red takes money back, grey leaves it."""

    def __init__(self, action: ReversalAction, number: int, *, disabled: bool = False) -> None:
        """Take what a press does, to which reversal, and whether that is decided already."""
        is_grey = action is ReversalAction.CANCEL
        super().__init__(
            Button(
                label=action.capitalize(),
                style=discord.ButtonStyle.secondary if is_grey else discord.ButtonStyle.danger,
                custom_id=f"cashback:reversal-{action}:{number}",
                disabled=disabled,
            )
        )
        self.action = action
        self.number = number

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 -- the library's signature
        item: discord.ui.Item[Any],  # noqa: ARG003 -- the library passes it
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the button that was pressed."""
        return cls(ReversalAction(match["action"]), int(match["number"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Decide."""
        await interaction.client.reversals.decide(interaction, self.action, self.number)


class ReversalView(View):
    """Confirm or Approve, and Cancel."""

    def __init__(self, reversal: Reversal) -> None:
        """Take the reversal as it stands."""
        super().__init__(timeout=None)
        first = ReversalAction.CONFIRM if reversal.first_approved_by is None else ReversalAction.APPROVE
        for action in (first, ReversalAction.CANCEL):
            disabled = reversal.status is not ReversalStatus.PROPOSED
            self.add_item(ReversalButton(action, reversal.number, disabled=disabled))


TITLES: Final = {
    ReversalStatus.PROPOSED: "↩️ Referral Cashback Reversal",
    ReversalStatus.DONE: "✅ Referral Cashback Taken Back",
    ReversalStatus.CANCELLED: "🚫 Referral Cashback Reversal Cancelled",
}


def show(reversal: Reversal) -> discord.Embed:
    """Show what would be taken back, or was."""
    colour = discord.Colour.dark_grey() if reversal.status is ReversalStatus.CANCELLED else discord.Colour.orange()
    embed = discord.Embed(title=TITLES[reversal.status], description=_stands(reversal), colour=colour)
    who = "everyone it paid" if reversal.referrer_id is None else embeds.mention(reversal.referrer_id)
    is_done = reversal.status is ReversalStatus.DONE
    held = reversal.reversed_cents if is_done else reversal.coverable_cents
    lines = [
        f"**Batch ID:** {reversal.batch_id}",
        f"**From:** {who} ({embeds.counted(reversal.planned_count, 'payout')})",
        f"**Credited:** {dollars(reversal.planned_cents)}",
        f"**Reason:** {embeds.escaped(reversal.reason)}",
    ]
    if reversal.status is not ReversalStatus.CANCELLED:
        lines.insert(3, f"**{'Taken Back' if is_done else 'Wallets Hold'}:** {dollars(held)}")
        lines.insert(4, f"**Shortfall:** {dollars(reversal.planned_cents - held)}")
    if is_done and reversal.first_approved_by is not None:
        names = f"{embeds.named(reversal.first_approved_by)} and {embeds.named(reversal.approved_by)}"
        lines.append(f"**Approved By:** {names}")
    embed.add_field(name="📊 Reversal", value="\n".join(lines), inline=False)
    return embed


def _told(reversal: Reversal) -> str:
    """Say in a line for the audit channel what was taken back, and on whose word."""
    by = " and ".join(each for each in (reversal.first_approved_by, reversal.approved_by) if each is not None)
    whom = f"Member {reversal.referrer_id}" if reversal.referrer_id else embeds.counted(reversal.planned_count, "user")
    return (
        f"{dollars(reversal.reversed_cents)} of {reversal.batch_id} was taken back from {whom} by {by},"
        f" {dollars(reversal.shortfall_cents)} was not held. Reason: {embeds.escaped(reversal.reason)}"
    )


def _stands(reversal: Reversal) -> str:
    if reversal.status is ReversalStatus.CANCELLED:
        return "Nothing was taken back."
    if reversal.status is ReversalStatus.DONE:
        return "The payouts stay on record; the cashback does not become pending again."
    if reversal.first_approved_by is not None:
        moment = discord.utils.format_dt(reversal.expires_at, "f")
        first = embeds.named(reversal.first_approved_by)
        return f"⏳ **Approved by {first}; another admin must approve it before {moment}.**"
    lines = [f"Confirm or cancel before {discord.utils.format_dt(reversal.expires_at, 'T')}."]
    if reversal.needs_second_approver:
        lines.append(f"👥 {reversal.needs_second_approver} Your Confirm is the first of the two.")
    return "\n".join(lines)
