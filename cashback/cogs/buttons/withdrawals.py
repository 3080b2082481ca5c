"""The buttons of a withdrawal: Approve, Paid, Decline and Show Destination for admins, Cancel for its member."""

import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final, Self

import discord
from discord.ui import Button, Modal, TextInput, View

from cashback.cogs.actors import actor_of
from cashback.cogs.buttons.presses import ClaimedButton, act_on_press, button_row, show_outcome
from cashback.cogs.buttons.services import ButtonServices
from cashback.cogs.errors import answer_interaction_error
from cashback.cogs.texts import embeds, wallet_embeds
from cashback.domain.errors import StaleBatchError
from cashback.domain.languages import mark, tr
from cashback.domain.reason_texts import MAX_REASON_LENGTH
from cashback.domain.withdrawals import MAX_REFERENCE_LENGTH, Withdrawal
from cashback.services import Actor

FORM_SECONDS: Final = 900
"""How long a form may stay open. The request stays open, so the button shows a new form."""

Decide = Callable[[Actor, str], Awaitable[Withdrawal]]


class WithdrawalAction(StrEnum):
    """What a button does. The values are part of stored custom ids."""

    APPROVE = "approve"
    PAID = "paid"
    DECLINE = "decline"
    SHOW = "show"
    CANCEL = "cancel"


LABELS: Final = {
    WithdrawalAction.APPROVE: "Approve",
    WithdrawalAction.PAID: "Paid",
    WithdrawalAction.DECLINE: "Decline",
    WithdrawalAction.SHOW: "Show Destination",
    WithdrawalAction.CANCEL: mark("Cancel Withdrawal"),
}
STYLES: Final = {
    WithdrawalAction.APPROVE: discord.ButtonStyle.success,
    WithdrawalAction.PAID: discord.ButtonStyle.success,
    WithdrawalAction.DECLINE: discord.ButtonStyle.danger,
    WithdrawalAction.SHOW: discord.ButtonStyle.secondary,
    WithdrawalAction.CANCEL: discord.ButtonStyle.secondary,
}


class WithdrawalButton(
    ClaimedButton,
    template=r"cashback:withdrawal-(?P<action>approve|paid|decline|show|cancel):(?P<number>[0-9]{1,18})"
    r"(?::(?P<version>[0-9]{1,13}-[0-9]{20}))?",
):
    """Decides on a withdrawal as it was shown. The ledger lets one decision stand, whoever presses first."""

    def __init__(self, action: WithdrawalAction, number: int, version: str | None = None) -> None:
        """Create the button of a withdrawal. With a version it decides on no other request of this number."""
        custom_id = f"cashback:withdrawal-{action}:{number}{f':{version}' if version else ''}"
        super().__init__(
            Button(
                label=tr(LABELS[action]) if action is WithdrawalAction.CANCEL else LABELS[action],
                style=STYLES[action],
                custom_id=custom_id,
            )
        )
        self.action = action
        self.number = number
        self.version = version

    @property
    def is_for_members(self) -> bool:
        """Whether a member uses it, and reads its texts."""
        return self.action is WithdrawalAction.CANCEL

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(WithdrawalAction(match["action"]), int(match["number"]), match["version"])

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Show a form for what needs a text; do the rest at once."""
        if self.action in {WithdrawalAction.PAID, WithdrawalAction.DECLINE}:
            await self._ask(interaction, services)
            return

        async def act(actor: Actor) -> None:
            if self.action is WithdrawalAction.SHOW:
                await self._show_destination(interaction, services, actor)
            elif self.action is WithdrawalAction.CANCEL:
                done = await services.service.cancel_withdrawal(interaction.user.id, self.number, version=self.version)
                await interaction.edit_original_response(embed=wallet_embeds.note(done), view=None)
            else:
                done = await services.service.approve_withdrawal(actor, self.number, version=self.version)
                await _show(interaction, interaction.message, done)

        await act_on_press(interaction, act, extra={"withdrawal": self.number})

    async def _show_destination(
        self, interaction: discord.Interaction[Any], services: ButtonServices, actor: Actor
    ) -> None:
        """Show the destination to the admin alone: others may read the channel."""
        await services.service.require_admin(actor, f"see the destination of withdrawal {self.number}")
        shown = await services.service.withdrawal(self.number)
        destination = services.service.destination_of(shown)
        text = "It has no destination, or it was erased." if destination is None else embeds.escaped(destination)
        await interaction.followup.send(embed=embeds.notice(text), ephemeral=True)

    async def _ask(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Show the form for the reference or the reason, to an admin."""
        service = services.service
        is_paid = self.action is WithdrawalAction.PAID
        try:
            await service.require_admin(actor_of(interaction.user), f"decide on withdrawal {self.number}")
            _require_unanswered(interaction)

            async def decide(actor: Actor, text: str) -> Withdrawal:
                if is_paid:
                    return await service.pay_withdrawal(actor, self.number, reference=text, version=self.version)
                return await service.decline_withdrawal(actor, self.number, reason=text, version=self.version)

            label, most = ("Reference", MAX_REFERENCE_LENGTH) if is_paid else ("Reason", MAX_REASON_LENGTH)
            form = WithdrawalForm(f"Withdrawal {self.number}", label, most, decide, services, interaction.message)
            await interaction.response.send_modal(form)
        except Exception as error:  # noqa: BLE001 -- the one boundary of a button; the unexpected goes to the log
            await answer_interaction_error(interaction, error)


def _require_unanswered(interaction: discord.Interaction[Any]) -> None:
    """Discord takes a form as the first answer only. If the ledger was slow, another answer was given already."""
    if interaction.response.is_done():
        raise StaleBatchError("The ledger was slow to answer; nothing was done. Press the button again.")


class WithdrawalForm(Modal):
    """The form for a reference or a reason. Its submission is claimed, like a press."""

    def __init__(
        self,
        title: str,
        label: str,
        most: int,
        decide: Decide,
        services: ButtonServices,
        message: discord.Message | None,
    ) -> None:
        """`message` shows the withdrawal and is brought up to date."""
        super().__init__(title=title, timeout=FORM_SECONDS)
        self._text: TextInput[View] = TextInput(label=label, custom_id="text", max_length=most)
        self.add_item(self._text)
        self._decide = decide
        self._services = services
        self._message = message

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Decide once, and show the withdrawal's new state."""
        if not await self._services.claims.win_interaction(interaction):
            return

        async def act(actor: Actor) -> None:
            await _show(interaction, self._message, await self._decide(actor, self._text.value))

        await act_on_press(interaction, act)


async def _show(interaction: discord.Interaction[Any], message: discord.Message | None, shown: Withdrawal) -> None:
    await show_outcome(interaction, message, wallet_embeds.withdrawal(shown), withdrawal_view(shown))


def withdrawal_view(shown: Withdrawal) -> View:
    """Return the buttons for admins; none if it is decided."""
    if not shown.is_open:
        return button_row()
    first = WithdrawalAction.APPROVE if shown.needs_first_approval else WithdrawalAction.PAID
    actions = [first, WithdrawalAction.DECLINE]
    if shown.destination is not None:
        actions.append(WithdrawalAction.SHOW)
    return button_row(*(WithdrawalButton(action, shown.number, shown.version) for action in actions))


def cancel_view(shown: Withdrawal) -> View:
    """Return the button for the member."""
    return button_row(cancel_button(shown))


def cancel_button(shown: Withdrawal) -> WithdrawalButton:
    """Return the button that cancels a member's own request."""
    return WithdrawalButton(WithdrawalAction.CANCEL, shown.number, shown.version)
