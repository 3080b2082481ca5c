"""The button under the notice of a weekly batch that skips this week."""

import re
from datetime import UTC, datetime
from typing import Any, Final, Self

import discord
from discord.ui import Button, View

from cashback.cogs.buttons.presses import ClaimedButton, act_on_press, button_row
from cashback.cogs.buttons.services import ButtonServices
from cashback.services import Actor

LABEL: Final = "Skip this week"
REASON: Final = "skipped from the notice"


class SkipSlotButton(ClaimedButton, template=r"cashback:hold:(?P<slot>[0-9]{1,11})"):
    """Skip this week, red. The custom id carries the slot as a Unix time, after the button's first name."""

    def __init__(self, slot_at: datetime, *, disabled: bool = False) -> None:
        """Create the button of a slot, disabled if the slot is already decided."""
        custom_id = f"cashback:hold:{int(slot_at.timestamp())}"
        super().__init__(Button(label=LABEL, style=discord.ButtonStyle.danger, custom_id=custom_id, disabled=disabled))
        self.slot_at = slot_at

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(datetime.fromtimestamp(int(match["slot"]), UTC))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Skip the slot. The summary updater then closes the notice."""

        async def skip(actor: Actor) -> None:
            await services.service.skip_slot(actor, self.slot_at, REASON)

        await act_on_press(interaction, skip)
        services.summaries_changed.set()


def skip_slot_view(slot_at: datetime, *, disabled: bool = False) -> View:
    """Return the row with the one button."""
    return button_row(SkipSlotButton(slot_at, disabled=disabled))
