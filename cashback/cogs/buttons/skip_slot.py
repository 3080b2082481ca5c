"""The Hold button under the notice of a weekly batch: it carries the slot, so that it works after a restart too."""

import re
from datetime import UTC, datetime
from typing import Any, Self

import discord
from discord.ui import Button, DynamicItem, View

from cashback.background.wakeup import WakeUp
from cashback.cogs.buttons.presses import ClaimedButton, act_on_press
from cashback.services import Actor, AdminService

REASON = "held from the notice"


class SkipSlot:
    """Acts on the button: asks the service, and leaves the message to the announcer."""

    def __init__(self, service: AdminService, bell: WakeUp) -> None:
        """Take the service, and the bell that wakes the announcer."""
        self._service = service
        self._bell = bell

    async def hold(self, interaction: discord.Interaction[Any], slot_at: datetime) -> None:
        """Skip a slot for whoever pressed Hold, or tell them why not."""

        async def skip(actor: Actor) -> None:
            await self._service.skip_slot(actor, slot_at, REASON)

        await act_on_press(interaction, skip)
        self._bell.set()


class HoldButton(ClaimedButton, DynamicItem[Button[View]], template=r"cashback:hold:(?P<slot>[0-9]{1,11})"):
    """Hold, red. The slot stands in the custom id as a Unix time."""

    def __init__(self, slot_at: datetime, *, disabled: bool = False) -> None:
        """Take the slot, and whether it is over already."""
        custom_id = f"cashback:hold:{int(slot_at.timestamp())}"
        super().__init__(Button(label="Hold", style=discord.ButtonStyle.danger, custom_id=custom_id, disabled=disabled))
        self.slot_at = slot_at

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 -- the library's signature
        item: discord.ui.Item[Any],  # noqa: ARG003 -- the library passes it
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the button that was pressed."""
        return cls(datetime.fromtimestamp(int(match["slot"]), UTC))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hold."""
        await interaction.client.holds.hold(interaction, self.slot_at)


def hold_view(slot_at: datetime, *, disabled: bool = False) -> View:
    """Make the row with the one button. Without a timeout: the slot's moment in the ledger is the one that counts."""
    view = View(timeout=None)
    view.add_item(HoldButton(slot_at, disabled=disabled))
    return view
