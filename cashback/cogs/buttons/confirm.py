"""The buttons under a batch's message. They carry the batch's number, so that they work after a restart too."""

import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final, Self

import discord
from discord.ui import Button, DynamicItem, View

from cashback.background.wakeup import WakeUp
from cashback.cogs.buttons.presses import ClaimedButton, act_on_press
from cashback.database import Database
from cashback.database.payouts import announcements
from cashback.domain.errors import StaleBatchError
from cashback.domain.model import BatchStatus
from cashback.services import Actor, AdminService


class BatchButtons:
    """Acts on the buttons: answers Discord at once, asks the service, and leaves the message to the announcer."""

    def __init__(self, database: Database, service: AdminService, bell: WakeUp) -> None:
        """Take the ledger, the service, and the bell that wakes the announcer."""
        self._database = database
        self._service = service
        self._bell = bell

    def _act(self, action: "Action") -> Callable[[Actor, int], Awaitable[object]]:
        """Find what the service does for a button."""
        acts: dict[Action, Callable[[Actor, int], Awaitable[object]]] = {
            Action.CONFIRM: self._service.approve,
            Action.APPROVE: self._service.approve,
            Action.CANCEL: self._service.cancel,
            Action.STOP: self._service.stop,
            Action.RESUME: self._service.resume,
            Action.GIVE_UP: self._service.abandon,
        }
        return acts[action]

    async def decide(self, interaction: discord.Interaction[Any], action: "Action", batch_number: int) -> None:
        """Act for who pressed, on the batch that the message shows."""

        async def act(actor: Actor) -> None:
            await self._require_its_summary(interaction, batch_number)
            await self._act(action)(actor, batch_number)

        await act_on_press(interaction, act, extra={"batch_number": batch_number})
        self._bell.set()

    async def _require_its_summary(self, interaction: discord.Interaction[Any], batch_number: int) -> None:
        """Refuse the button of a message from another ledger's time, whose number means another batch here.

        Where the bot died between writing a summary and noting it, the message is noted now.
        """
        message = interaction.message
        if message is None or not await self._database.write(
            announcements.is_summary_of, batch_number, channel_id=message.channel.id, message_id=message.id
        ):
            raise StaleBatchError("This message no longer shows its batch; nothing was done. Ask for a new summary.")


class Action(StrEnum):
    """What a button does."""

    CONFIRM = "confirm"
    APPROVE = "approve"
    CANCEL = "cancel"
    STOP = "stop"
    RESUME = "resume"
    GIVE_UP = "give-up"


GREEN: Final = frozenset({Action.CONFIRM, Action.APPROVE, Action.RESUME})


class DecisionButton(
    ClaimedButton,
    DynamicItem[Button[View]],
    template=r"cashback:(?P<action>confirm|approve|cancel|stop|resume|give-up):(?P<batch_number>[0-9]{1,18})",
):
    """Green what pays, red what does not. Discord hands the custom id back with each press."""

    def __init__(self, action: Action, batch_number: int, *, disabled: bool = False) -> None:
        """Take what a press does, to which batch, and whether that is decided already."""
        super().__init__(
            Button(
                label=action.replace("-", " ").capitalize(),
                style=discord.ButtonStyle.success if action in GREEN else discord.ButtonStyle.danger,
                custom_id=f"cashback:{action}:{batch_number}",
                disabled=disabled,
            )
        )
        self.action = action
        self.batch_number = batch_number

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 -- the library's signature
        item: discord.ui.Item[Any],  # noqa: ARG003 -- the library passes it
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the button that was pressed."""
        return cls(Action(match["action"]), int(match["batch_number"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Decide."""
        decisions: BatchButtons = interaction.client.decisions
        await decisions.decide(interaction, self.action, self.batch_number)


class CashbackConfirmView(View):
    """Confirm and Cancel. It has no timeout of its own: the batch's deadline in the ledger is the one that counts."""

    def __init__(self, batch_number: int, *, disabled: bool = False) -> None:
        """Take the batch, and whether it is decided already."""
        super().__init__(timeout=None)
        for action in (Action.CONFIRM, Action.CANCEL):
            self.add_item(DecisionButton(action, batch_number, disabled=disabled))


ACTIONS: Final = {
    BatchStatus.PROPOSED: (Action.APPROVE, Action.CANCEL),
    BatchStatus.APPROVED: (Action.STOP,),
    BatchStatus.RUNNING: (Action.STOP,),
    BatchStatus.STOPPED: (Action.RESUME, Action.GIVE_UP),
}


class StandingView(View):
    """What may be done to a batch that waits for a second approval, or was approved and is not finished."""

    def __init__(self, batch_number: int, status: BatchStatus) -> None:
        """Take the batch, and how it stands."""
        super().__init__(timeout=None)
        for action in ACTIONS[status]:
            self.add_item(DecisionButton(action, batch_number))


def view_of(batch_number: int, status: BatchStatus) -> View:
    """Return the buttons of a batch that was confirmed, as it stands."""
    if status in ACTIONS:
        return StandingView(batch_number, status)
    return CashbackConfirmView(batch_number, disabled=True)
