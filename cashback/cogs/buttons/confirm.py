"""The buttons under a batch's message: Confirm, Approve, Cancel, Stop, Resume and Abandon."""

import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from typing import Any, Final, Self

import discord
from discord.ui import Button, View

from cashback.cogs.buttons.presses import PROPOSAL, ClaimedButton, act_on_press, button_row
from cashback.cogs.buttons.second_admin import call_second_admin, is_waiting
from cashback.cogs.buttons.services import ButtonServices
from cashback.database.payouts import announcements
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchReport, BatchStatus
from cashback.services import Actor, AdminService


class Action(StrEnum):
    """What a button does. The values are part of stored custom ids."""

    CONFIRM = "confirm"
    APPROVE = "approve"
    CANCEL = "cancel"
    STOP = "stop"
    RESUME = "resume"
    ABANDON = "give-up"


VERBS: Final = {action: "approve" if action is Action.CONFIRM else action.name.lower() for action in Action}
"""What a press asks for, as a refusal in the audit log has it."""

GREEN: Final = frozenset({Action.CONFIRM, Action.APPROVE, Action.RESUME})


class DecisionButton(
    ClaimedButton,
    template=r"cashback:(?P<action>confirm|approve|cancel|stop|resume|give-up):(?P<batch_number>[0-9]{1,18})"
    + PROPOSAL,
):
    """Decides on a batch. Green buttons pay, red buttons do not."""

    def __init__(self, action: Action, batch_number: int, token: str, *, disabled: bool = False) -> None:
        """Create the button of a proposed batch, disabled if the batch is already decided."""
        super().__init__(
            Button(
                label=action.name.capitalize(),
                style=discord.ButtonStyle.success if action in GREEN else discord.ButtonStyle.danger,
                custom_id=f"cashback:{action}:{batch_number}:{token}",
                disabled=disabled,
            )
        )
        self.action = action
        self.batch_number = batch_number
        self.token = token

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(Action(match["action"]), int(match["batch_number"]), match["token"] or "")

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Act on the batch that the message shows. The summary updater then edits the message."""

        async def act(actor: Actor) -> None:
            await services.service.require_admin(actor, f"{VERBS[self.action]} batch number {self.batch_number}")
            await self._require_its_summary(interaction, services)
            done = await self._service_call(services.service)(actor)
            # Only one first approval succeeds, so the role is mentioned once.
            if self.action is Action.CONFIRM and isinstance(done, BatchReport) and is_waiting(done):
                await call_second_admin(interaction.message, services.service.admin_role_id, self.batch_number)

        await act_on_press(interaction, act, extra={"batch_number": self.batch_number})
        services.summaries_changed.set()

    def _service_call(self, service: AdminService) -> Callable[[Actor], Awaitable[object]]:
        calls: dict[Action, Callable[..., Awaitable[object]]] = {
            Action.CONFIRM: service.approve,
            Action.APPROVE: service.approve,
            Action.CANCEL: service.cancel,
            Action.STOP: service.stop,
            Action.RESUME: service.resume,
            Action.ABANDON: service.abandon,
        }
        return partial(calls[self.action], batch_number=self.batch_number, token=self.token)

    async def _require_its_summary(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Refuse the button of a message that shows another proposal: of another ledger, or of another time.

        The token decides: a trial's ledger, and one that was restored, give the same numbers again. If the bot died
        between posting a summary and recording it, the message is recorded now.
        """
        message = interaction.message
        if message is None or not await services.database.write(
            announcements.is_summary_of,
            self.batch_number,
            token=self.token,
            channel_id=message.channel.id,
            message_id=message.id,
        ):
            raise StaleBatchError("This message no longer shows its batch; nothing was done. Ask for a new summary.")


def confirm_view(batch_number: int, token: str, *, disabled: bool = False) -> View:
    """Return Confirm and Cancel. They have no timeout: the batch's deadline in the ledger counts."""
    return button_row(
        *(DecisionButton(each, batch_number, token, disabled=disabled) for each in (Action.CONFIRM, Action.CANCEL))
    )


ACTIONS: Final = {
    BatchStatus.PROPOSED: (Action.APPROVE, Action.CANCEL),
    BatchStatus.APPROVED: (Action.STOP,),
    BatchStatus.RUNNING: (Action.STOP,),
    BatchStatus.STOPPED: (Action.RESUME, Action.ABANDON),
}


def view_of(batch_number: int, token: str, status: BatchStatus) -> View:
    """Return the buttons of a batch that was confirmed at least once, by its status."""
    if status in ACTIONS:
        return button_row(*(DecisionButton(action, batch_number, token) for action in ACTIONS[status]))
    return confirm_view(batch_number, token, disabled=True)
