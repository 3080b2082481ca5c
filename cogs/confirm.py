"""The buttons under a batch's message. They carry the batch's number, so that they work after a restart too."""

import logging
import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final, Self

import discord
from discord.ui import Button, DynamicItem, View

from cogs import embeds
from cogs.errors import DISCORD_FAILURES, explained
from cogs.runs import Bell
from database import Database, announcements
from desk import Actor, Desk, Source
from pipeline.errors import StaleBatchError
from pipeline.messages import BatchStatus

UNKNOWN_ROLES: Final[frozenset[int]] = frozenset()

logger = logging.getLogger(__name__)


def actor_of(person: discord.User | discord.Member) -> Actor:
    """Make the actor of a person, with the roles that the event about them carries: those of this moment."""
    roles = frozenset(role.id for role in person.roles) if isinstance(person, discord.Member) else UNKNOWN_ROLES
    return Actor(source=Source.DISCORD, user_id=person.id, role_ids=roles)


class Decisions:
    """Acts on the buttons: answers Discord at once, asks the desk, and leaves the message to the announcer."""

    def __init__(self, database: Database, desk: Desk, bell: Bell) -> None:
        """Take the ledger, the desk, and the bell that wakes the announcer."""
        self._database = database
        self._desk = desk
        self._bell = bell

    def _act(self, action: "Action") -> Callable[[Actor, int], Awaitable[object]]:
        """Find what the desk does for a button."""
        acts: dict[Action, Callable[[Actor, int], Awaitable[object]]] = {
            Action.CONFIRM: self._desk.approve,
            Action.CANCEL: self._desk.cancel,
            Action.STOP: self._desk.stop,
            Action.RESUME: self._desk.resume,
            Action.GIVE_UP: self._desk.give_up,
        }
        return acts[action]

    async def decide(self, interaction: discord.Interaction[Any], action: "Action", batch_number: int) -> None:
        """Answer within Discord's three seconds, then act. Whatever fails is told to who pressed, and to them alone."""
        try:
            await interaction.response.defer()
        except DISCORD_FAILURES as failure:
            # They pressed; that Discord did not hear the answer changes nothing about what they decided.
            logger.warning(
                "a click on batch number %d could not be acknowledged: %s",
                batch_number,
                failure,
                extra={"batch_number": batch_number},
            )
        try:
            await self._require_its_summary(interaction, batch_number)
            await self._act(action)(actor_of(interaction.user), batch_number)
        except Exception as error:  # noqa: BLE001 -- the one boundary of a button; the unexpected goes to the log
            await self._tell(interaction, explained(error))
        self._bell.ring()

    async def _require_its_summary(self, interaction: discord.Interaction[Any], batch_number: int) -> None:
        """Refuse the button of a message from another ledger's time, whose number means another batch here.

        Where the bot died between writing a summary and noting it, the message is noted now.
        """
        message = interaction.message
        if message is None or not await self._database.write(
            announcements.is_summary_of, batch_number, channel_id=message.channel.id, message_id=message.id
        ):
            raise StaleBatchError("This message no longer shows its batch; nothing was done. Ask for a new summary.")

    async def _tell(self, interaction: discord.Interaction[Any], text: str) -> None:
        try:
            await interaction.followup.send(embed=embeds.error(text), ephemeral=True)
        except DISCORD_FAILURES as failure:
            logger.warning("%d could not be told: %s (%s)", interaction.user.id, text, failure)


class Action(StrEnum):
    """What a button does."""

    CONFIRM = "confirm"
    CANCEL = "cancel"
    STOP = "stop"
    RESUME = "resume"
    GIVE_UP = "give-up"


GREEN: Final = frozenset({Action.CONFIRM, Action.RESUME})


class DecisionButton(
    DynamicItem[Button[View]],
    template=r"cashback:(?P<action>confirm|cancel|stop|resume|give-up):(?P<batch_number>[0-9]{1,18})",
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
        item: discord.ui.Item[Any],  # noqa: ARG003
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the button that was pressed."""
        return cls(Action(match["action"]), int(match["batch_number"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Decide, each press once."""
        if not interaction.client.once.is_first(interaction.id):
            return
        decisions: Decisions = interaction.client.decisions
        await decisions.decide(interaction, self.action, self.batch_number)


class CashbackConfirmView(View):
    """Confirm and Cancel. It has no timeout of its own: the batch's deadline in the ledger is the one that counts."""

    def __init__(self, batch_number: int, *, disabled: bool = False) -> None:
        """Take the batch, and whether it is decided already."""
        super().__init__(timeout=None)
        for action in (Action.CONFIRM, Action.CANCEL):
            self.add_item(DecisionButton(action, batch_number, disabled=disabled))


RUN_ACTIONS: Final = {
    BatchStatus.APPROVED: (Action.STOP,),
    BatchStatus.RUNNING: (Action.STOP,),
    BatchStatus.STOPPED: (Action.RESUME, Action.GIVE_UP),
}


class RunView(View):
    """What may be done to a batch that was approved and is not finished."""

    def __init__(self, batch_number: int, status: BatchStatus) -> None:
        """Take the batch, and how it stands."""
        super().__init__(timeout=None)
        for action in RUN_ACTIONS[status]:
            self.add_item(DecisionButton(action, batch_number))


def view_of(batch_number: int, status: BatchStatus) -> View:
    """Return the buttons of a batch that was decided, as it stands."""
    if status in RUN_ACTIONS:
        return RunView(batch_number, status)
    return CashbackConfirmView(batch_number, disabled=True)
