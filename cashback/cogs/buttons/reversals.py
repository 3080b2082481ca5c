"""The message of a reversal and its buttons: what would be reversed, the decision, and what was reversed."""

import re
from enum import StrEnum
from functools import partial
from typing import Any, Final, Self

import discord
from discord.ui import Button, View

from cashback.cogs.buttons.presses import PROPOSAL, ClaimedButton, act_on_press, button_row, show_outcome
from cashback.cogs.buttons.services import ButtonServices
from cashback.cogs.texts import embeds, member_notes
from cashback.database.queries import members
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import Reversal, ReversalStatus
from cashback.domain.money import dollars
from cashback.services import Actor

MEMBERS_NOTIFIED: Final = 100
"""If a reversal concerns more members, those with the largest losses get a note; `/cashback show` shows it to all."""


class ReversalAction(StrEnum):
    """What a button does. The values are part of stored custom ids."""

    CONFIRM = "confirm"
    APPROVE = "approve"
    CANCEL = "cancel"


class ReversalButton(
    ClaimedButton,
    template=r"cashback:reversal-(?P<action>confirm|approve|cancel):(?P<number>[0-9]{1,18})" + PROPOSAL,
):
    """Decides on a reversal. Red buttons reverse, the grey one does not."""

    def __init__(self, action: ReversalAction, number: int, token: str, *, disabled: bool = False) -> None:
        """Create the button of a reversal, disabled if the reversal is already decided."""
        is_grey = action is ReversalAction.CANCEL
        super().__init__(
            Button(
                label=action.capitalize(),
                style=discord.ButtonStyle.secondary if is_grey else discord.ButtonStyle.danger,
                custom_id=f"cashback:reversal-{action}:{number}:{token}",
                disabled=disabled,
            )
        )
        self.action = action
        self.number = number
        self.token = token

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(ReversalAction(match["action"]), int(match["number"]), match["token"] or "")

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Approve or cancel the reversal and show its new state in the message."""

        async def act(actor: Actor) -> None:
            if interaction.message is None:
                raise StaleBatchError("This message is gone; nothing was done.")
            service = services.service
            decide = service.cancel_reversal if self.action is ReversalAction.CANCEL else service.approve_reversal
            reversal = await decide(actor, self.number, token=self.token)
            if reversal.status is ReversalStatus.DONE:
                await services.post_line(_audit_line(reversal))
                await _notify_members(reversal, services)
            await show_outcome(interaction, interaction.message, show(reversal), reversal_view(reversal))

        await act_on_press(interaction, act, extra={"reversal": self.number})


async def _notify_members(reversal: Reversal, services: ButtonServices) -> None:
    """Send notes to the members of reversed payouts, except to those that switched messages off."""
    reversed_payouts = await services.database.read(members.told_of_reversal, reversal.number, limit=MEMBERS_NOTIFIED)
    for user_id, cents in reversed_payouts:
        write = partial(member_notes.reversed_payout, cents, reversal.batch_id, reversal.reason)
        services.note_sender.enqueue(user_id, write, cause=f"reversal {reversal.number}")


def reversal_view(reversal: Reversal) -> View:
    """Return Confirm or Approve, and Cancel; disabled if the reversal is decided."""
    first = ReversalAction.CONFIRM if reversal.first_approved_by is None else ReversalAction.APPROVE
    is_decided = reversal.status is not ReversalStatus.PROPOSED
    actions = (first, ReversalAction.CANCEL)
    return button_row(*(ReversalButton(each, reversal.number, reversal.token, disabled=is_decided) for each in actions))


TITLES: Final = {
    ReversalStatus.PROPOSED: "↩️ Referral Cashback Reversal",
    ReversalStatus.DONE: "✅ Referral Cashback Reversed",
    ReversalStatus.CANCELLED: "🚫 Referral Cashback Reversal Cancelled",
}


def show(reversal: Reversal) -> discord.Embed:
    """Show what would be reversed, or was."""
    colour = discord.Colour.dark_grey() if reversal.status is ReversalStatus.CANCELLED else discord.Colour.orange()
    embed = discord.Embed(title=TITLES[reversal.status], description=_description(reversal), colour=colour)
    payees = "everyone it paid" if reversal.referrer_id is None else embeds.mention(reversal.referrer_id)
    is_done = reversal.status is ReversalStatus.DONE
    held = reversal.reversed_cents if is_done else reversal.coverable_cents
    lines = [
        f"**Batch ID:** {reversal.batch_id}",
        f"**From:** {payees} ({embeds.counted(reversal.planned_count, 'payout')})",
        f"**Credited:** {dollars(reversal.planned_cents)}",
        f"**Reason:** {embeds.escaped(reversal.reason)}",
    ]
    if reversal.status is not ReversalStatus.CANCELLED:
        lines.insert(3, f"**{'Reversed' if is_done else 'Wallets Hold'}:** {dollars(held)}")
        lines.insert(4, f"**Shortfall:** {dollars(reversal.planned_cents - held)}")
    if is_done and reversal.first_approved_by is not None:
        names = f"{embeds.named(reversal.first_approved_by)} and {embeds.named(reversal.approved_by)}"
        lines.append(f"**Approved By:** {names}")
    embed.add_field(name="📊 Reversal", value="\n".join(lines), inline=False)
    return embed


def _audit_line(reversal: Reversal) -> str:
    """Return the line for the audit channel: what was reversed, and the admins that approved it."""
    by = " and ".join(each for each in (reversal.first_approved_by, reversal.approved_by) if each is not None)
    payees = (
        f"Member {reversal.referrer_id}" if reversal.referrer_id else embeds.counted(reversal.planned_count, "user")
    )
    return (
        f"{dollars(reversal.reversed_cents)} of {reversal.batch_id} was reversed for {payees} by {by},"
        f" {dollars(reversal.shortfall_cents)} was not held. Reason: {embeds.escaped(reversal.reason)}"
    )


def _description(reversal: Reversal) -> str:
    if reversal.status is ReversalStatus.CANCELLED:
        return "Nothing was reversed."
    if reversal.status is ReversalStatus.DONE:
        return "The payouts stay on record; the cashback does not become pending again."
    return embeds.decision_text(reversal.first_approved_by, reversal.expires_at, reversal.needs_second_approver)
