"""The buttons that skip a weekly batch from its notice, and that undo the skip until its time passes."""

import re
from datetime import UTC, datetime
from typing import Any, Final, Self

import discord
from discord.ui import Button, View

from cashback.cogs.actors import actor_of
from cashback.cogs.buttons.presses import ClaimedButton, act_on_press, button_row, show_instead
from cashback.cogs.buttons.services import ButtonServices
from cashback.cogs.texts import schedule_embeds
from cashback.services import Actor

LABEL: Final = "Skip this week"
REASON: Final = "skipped from the notice"
UNDO: Final = "Undo: pay this week"
UNDO_REASON: Final = "undone with the button"


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


class UnskipSlotButton(ClaimedButton, template=r"cashback:unskip:(?P<slot>[0-9]{1,11})"):
    """Undoes a skip. The bot then shows the slot's notice again, in its place."""

    def __init__(self, slot_at: datetime, *, disabled: bool = False) -> None:
        """Create the button of a skipped slot, disabled once it has undone the skip."""
        custom_id = f"cashback:unskip:{int(slot_at.timestamp())}"
        super().__init__(Button(label=UNDO, custom_id=custom_id, disabled=disabled))
        self.slot_at = slot_at

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(datetime.fromtimestamp(int(match["slot"]), UTC))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Withdraw the skip, and show it in the place of the message."""

        async def unskip() -> tuple[discord.Embed, View]:
            actor = actor_of(interaction.user)
            await services.service.unskip_slot(actor, self.slot_at, UNDO_REASON)
            return schedule_embeds.unskipped(self.slot_at, str(actor)), unskip_slot_view(self.slot_at, disabled=True)

        await show_instead(interaction, unskip)
        services.summaries_changed.set()


def unskip_slot_view(slot_at: datetime, *, disabled: bool = False) -> View:
    """Return the row with the button that undoes a skip."""
    return button_row(UnskipSlotButton(slot_at, disabled=disabled))


def skip_slot_view(slot_at: datetime, *, disabled: bool = False) -> View:
    """Return the row with the one button."""
    return button_row(SkipSlotButton(slot_at, disabled=disabled))
