"""The buttons that undo what a command just did: they end a pause, and remove a member from the blacklist."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, Self

import discord
from discord.ui import Button, View

from cashback.cogs.buttons.presses import ClaimedButton, act_on_press, button_row
from cashback.cogs.buttons.services import ButtonServices, Notes
from cashback.cogs.texts import embeds, member_notes, schedule_embeds
from cashback.domain.errors import ReferralRefusedError
from cashback.services import Actor, AdminService

RESUME: Final = "Undo: resume"
RESUMED: Final = "▶️ **The schedule is resumed.**"
RESUME_REASON: Final = "undone with the button"
UNBLACKLIST: Final = "Undo: remove from the blacklist"


class ResumeScheduleButton(ClaimedButton, template=r"cashback:schedule-resume"):
    """Ends a pause of the weekly batch."""

    def __init__(self, *, disabled: bool = False) -> None:
        """Create the button, disabled once it has ended the pause."""
        super().__init__(Button(label=RESUME, custom_id="cashback:schedule-resume", disabled=disabled))

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:  # noqa: ARG003 -- the same for every pause
        """Return the button."""
        return cls()

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Resume the schedule and show it in the place of the message."""

        async def resume(actor: Actor) -> None:
            service = services.service
            await service.resume_schedule(actor, RESUME_REASON)
            shown = schedule_embeds.overview(await service.schedule_overview(), await service.preview(), RESUMED)
            await _show(interaction, shown, ResumeScheduleButton(disabled=True))

        await act_on_press(interaction, resume)
        services.summaries_changed.set()


class UnblacklistButton(ClaimedButton, template=r"cashback:unblacklist:(?P<user>[0-9]{1,19})"):
    """Removes a member from the blacklist."""

    def __init__(self, user_id: int, *, disabled: bool = False) -> None:
        """Create the button of a member, disabled once it has removed the member."""
        super().__init__(Button(label=UNBLACKLIST, custom_id=f"cashback:unblacklist:{user_id}", disabled=disabled))
        self.user_id = user_id

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(int(match["user"]))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Remove the member from the blacklist and show it in the place of the message."""

        async def undo(actor: Actor) -> None:
            text = await unblacklist(services, actor, self.user_id, cause=interaction.id)
            shown = embeds.success("Done", embeds.readable(text))
            await _show(interaction, shown, UnblacklistButton(self.user_id, disabled=True))

        await act_on_press(interaction, undo)


class MemberServices(Protocol):
    """What a change of a member is made, noted and announced with."""

    @property
    def service(self) -> AdminService:
        """The changes that an admin may make."""
        ...

    @property
    def note_sender(self) -> Notes:
        """Sends notes to members."""
        ...

    @property
    def post_line(self) -> Callable[[str], Awaitable[None]]:
        """Posts a line in the audit channel."""
        ...


async def unblacklist(services: MemberServices, actor: Actor, user_id: int, *, cause: object) -> str:
    """Remove a member from the blacklist, tell them and the audit channel; return what was done."""
    if not await services.service.unblacklist(actor, user_id):
        message = f"Member {user_id} is not blacklisted; nothing was changed."
        raise ReferralRefusedError(message)
    text = f"Member {user_id} may earn referral cashback again."
    services.note_sender.enqueue(user_id, member_notes.unblacklisted, cause=cause)
    await services.post_line(f"{text} By {actor}.")
    return text


async def _show(interaction: discord.Interaction[Any], embed: discord.Embed, button: ClaimedButton) -> None:
    if interaction.message is not None:
        await interaction.message.edit(embed=embed, view=button_row(button))


def resume_view() -> View:
    """Return the row with the button that ends a pause."""
    return button_row(ResumeScheduleButton())


def unblacklist_view(user_id: int) -> View:
    """Return the row with the button that removes a member from the blacklist."""
    return button_row(UnblacklistButton(user_id))
