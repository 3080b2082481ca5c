"""The buttons that undo what a command just did: they end that pause, and that blacklisting of a member.

The custom id carries the moment of what is undone, in microseconds: an old button undoes nothing that came later.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, Self

import discord
from discord.ui import Button, View

from cashback.cogs.buttons.presses import ClaimedButton, act_on_press, button_row, show_outcome
from cashback.cogs.buttons.services import ButtonServices, Notes
from cashback.cogs.texts import embeds, member_notes, schedule_embeds
from cashback.database.referral_program.blacklist import Blacklisting
from cashback.database.schedule.schedule import ScheduleState
from cashback.domain.errors import ReferralRefusedError
from cashback.services import Actor, AdminService

RESUME: Final = "Undo: resume"
RESUMED: Final = "▶️ **The schedule is resumed.**"
RESUME_REASON: Final = "undone with the button"
UNBLACKLIST: Final = "Undo: remove from the blacklist"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class ResumeScheduleButton(ClaimedButton, template=r"cashback:schedule-resume:(?P<since>[0-9]{1,17})"):
    """Ends a pause of the weekly batch."""

    def __init__(self, since: datetime, *, disabled: bool = False) -> None:
        """Create the button of a pause, disabled once it has ended it."""
        custom_id = f"cashback:schedule-resume:{(since - _EPOCH) // _MICROSECOND}"
        super().__init__(Button(label=RESUME, custom_id=custom_id, disabled=disabled))
        self.since = since

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(_moment(match))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Resume the schedule and show it in the place of the message."""

        async def resume(actor: Actor) -> None:
            service = services.service
            await service.resume_schedule(actor, RESUME_REASON, since=self.since)
            shown = schedule_embeds.overview(await service.schedule_overview(), await service.preview(), RESUMED)
            row = button_row(ResumeScheduleButton(self.since, disabled=True))
            await show_outcome(interaction, interaction.message, shown, row)

        await act_on_press(interaction, resume)
        services.summaries_changed.set()


class UnblacklistButton(ClaimedButton, template=r"cashback:unblacklist:(?P<user>[0-9]{1,19}):(?P<since>[0-9]{1,17})"):
    """Removes a member from the blacklist."""

    def __init__(self, user_id: int, since: datetime, *, disabled: bool = False) -> None:
        """Create the button of a blacklisting, disabled once it has removed the member."""
        custom_id = f"cashback:unblacklist:{user_id}:{(since - _EPOCH) // _MICROSECOND}"
        super().__init__(Button(label=UNBLACKLIST, custom_id=custom_id, disabled=disabled))
        self.user_id, self.since = user_id, since

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(int(match["user"]), _moment(match))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Remove the member from the blacklist and show it in the place of the message."""

        async def undo(actor: Actor) -> None:
            text = await unblacklist(services, actor, self.user_id, since=self.since, cause=interaction.id)
            shown = embeds.success("Done", embeds.readable(text))
            row = button_row(UnblacklistButton(self.user_id, self.since, disabled=True))
            await show_outcome(interaction, interaction.message, shown, row)

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


async def unblacklist(
    services: MemberServices, actor: Actor, user_id: int, *, cause: object, since: datetime | None = None
) -> str:
    """Remove a member from the blacklist, tell them and the audit channel; return what was done."""
    if not await services.service.unblacklist(actor, user_id, since=since):
        again = "" if since is None else " since then"
        message = f"Member {user_id} is not blacklisted{again}; nothing was changed."
        raise ReferralRefusedError(message)
    text = f"Member {user_id} may earn referral cashback again."
    services.note_sender.enqueue(user_id, member_notes.unblacklisted, cause=cause)
    await services.post_line(f"{text} By {actor}.")
    return text


def _moment(match: re.Match[str]) -> datetime:
    return _EPOCH + int(match["since"]) * _MICROSECOND


def resume_view(state: ScheduleState) -> View:
    """Return the row with the button that ends the present pause; an empty one if there is none any more."""
    return button_row(*[ResumeScheduleButton(state.paused_at)] if state.paused_at is not None else [])


def unblacklist_view(user_id: int, entry: Blacklisting | None) -> View:
    """Return the row with the button that ends the present blacklisting; an empty one if its moment is unknown."""
    since = None if entry is None else entry.blacklisted_at
    return button_row(*[UnblacklistButton(user_id, since)] if since is not None else [])
