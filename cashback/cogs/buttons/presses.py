"""The base class of all buttons: each press is claimed, acknowledged and acted on once.

The custom ids carry what the buttons are about, so buttons keep working after a restart of the bot.
"""

import logging
import re
import types
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final, Self, cast, final

import discord
from discord.ui import Button, DynamicItem, View

from cashback.cogs.actors import actor_of
from cashback.cogs.buttons.services import ButtonServices
from cashback.cogs.errors import DISCORD_FAILURES, answer_interaction_error
from cashback.domain.languages import language_of, speak
from cashback.services import Actor

MATCHES_NOTHING = "(?!)"
PROPOSAL = r"(?::(?P<token>[0-9a-f]{0,64}))?"
"""The end of a custom id: the token of the proposal. Buttons of earlier versions have none, and decide nothing."""

logger = logging.getLogger(__name__)


class ClaimedButton(DynamicItem[Button[View]], template=MATCHES_NOTHING):
    """A button whose presses each have one effect, also if several bots with one token run."""

    services: ClassVar[ButtonServices]

    @classmethod
    def bound_to(cls, services: ButtonServices) -> type[Self]:
        """Return this class with its services. discord.py makes a pressed button from a class, never from an instance.

        Only bound classes act on presses; the buttons in a message's view need no services.
        """
        bound = types.new_class(
            cls.__name__,
            (cls,),
            {"template": cls.__discord_ui_compiled_template__},
            lambda body: body.update(services=services),
        )
        return cast("type[Self]", bound)

    @classmethod
    @abstractmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""

    @abstractmethod
    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Act on a press that this process has claimed."""

    @classmethod
    @final
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 -- the library's signature
        item: discord.ui.Item[Any],  # noqa: ARG003 -- the library passes it
        match: re.Match[str],
        /,
    ) -> Self:
        """Return the button that was pressed."""
        return cls.parse(match)

    @property
    def is_for_members(self) -> bool:
        """Whether a member uses it, and reads its texts in their language. Admins' texts are in English."""
        return False

    @final
    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Act on a press if this process claims it first."""
        if not await self.services.claims.win_interaction(interaction):
            return
        if self.is_for_members:
            speak(language_of(str(interaction.locale)))
        await self.press(interaction, self.services)


def button_row(*buttons: ClaimedButton) -> View:
    """Return a view of these buttons, without a timeout: deadlines are in the ledger.

    The view is stopped from the start. discord.py would register the classes of an active view's buttons in the place
    of the bound ones.
    """
    view = View(timeout=None)
    for button in buttons:
        view.add_item(button)
    view.stop()
    return view


NO_BUTTONS: Final = button_row()


async def show_instead(
    interaction: discord.Interaction[Any], make: Callable[[], Awaitable[tuple[discord.Embed, View]]]
) -> None:
    """Replace the message under the button by what `make` returns; if it fails, only the member sees why."""
    try:
        embed, view = await make()
        if interaction.response.is_done():
            await interaction.edit_original_response(embed=embed, view=view)
        else:
            await interaction.response.edit_message(embed=embed, view=view)
    except Exception as error:  # noqa: BLE001 -- the one boundary of a button; the unexpected goes to the log
        await answer_interaction_error(interaction, error)


async def _acknowledge(interaction: discord.Interaction[Any], extra: Mapping[str, object] | None) -> None:
    """Acknowledge a press. The member's decision stands even if Discord did not take the acknowledgement."""
    try:
        if not interaction.response.is_done():
            await interaction.response.defer()
    except DISCORD_FAILURES as failure:
        logger.warning("a press by %d could not be acknowledged: %s", interaction.user.id, failure, extra=extra)


async def act_on_press(
    interaction: discord.Interaction[Any],
    act: Callable[[Actor], Awaitable[None]],
    *,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Acknowledge a press within Discord's three seconds, then act as the member. `extra` goes into the log records."""
    try:
        await _acknowledge(interaction, extra)
        await act(actor_of(interaction.user))
    except Exception as error:  # noqa: BLE001 -- the one boundary of a button; the unexpected goes to the log
        await answer_interaction_error(interaction, error)


async def show_outcome(
    interaction: discord.Interaction[Any], message: discord.Message | None, embed: discord.Embed, view: View
) -> None:
    """Show what was decided in the message; if it can no longer be edited, show it to the member alone."""
    try:
        if message is not None:
            await message.edit(embed=embed, view=view)
            return
    except DISCORD_FAILURES as failure:
        logger.warning("a message could not be brought up to date after a press: %s", failure)
    await interaction.followup.send(embed=embed, ephemeral=True)
