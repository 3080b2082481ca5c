"""A press of a button: answered at once, then acted on; whatever fails is told to who pressed, and to them alone."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import discord

from cashback.cogs.errors import DISCORD_FAILURES, answer_interaction_error, explained
from cashback.cogs.texts import embeds
from cashback.services import Actor, Source

UNKNOWN_ROLES: Final[frozenset[int]] = frozenset()

logger = logging.getLogger(__name__)


def actor_of(person: discord.User | discord.Member) -> Actor:
    """Make the actor of a person, with the roles that the event about them carries: those of this moment."""
    roles = roles_of(person) if isinstance(person, discord.Member) else UNKNOWN_ROLES
    return Actor(source=Source.DISCORD, user_id=person.id, role_ids=roles)


def roles_of(member: discord.Member) -> frozenset[int]:
    """Return the ids of the roles that somebody gave a member; @everyone is not one, and must never let anybody in."""
    return frozenset(role.id for role in member.roles if not role.is_default())


class ClaimedButton:
    """A button whose presses each have one effect, also with several bots. All buttons of the bot are of this class."""

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Let a press pass if this process claims it first."""
        return bool(await interaction.client.claims.win_interaction(interaction))


async def show_instead(
    interaction: discord.Interaction[Any], make: Callable[[], Awaitable[tuple[discord.Embed, discord.ui.View]]]
) -> None:
    """Replace the message under the button by what `make` returns; if it fails, the member alone reads why."""
    try:
        embed, view = await make()
        if interaction.response.is_done():
            await interaction.edit_original_response(embed=embed, view=view)
        else:
            await interaction.response.edit_message(embed=embed, view=view)
    except Exception as error:  # noqa: BLE001 -- the one boundary of a button; the unexpected goes to the log
        await answer_interaction_error(interaction, error)


async def act_on_press(
    interaction: discord.Interaction[Any],
    act: Callable[[Actor], Awaitable[None]],
    *,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Answer within Discord's three seconds, then act for who pressed. `extra` says in the log what it is about."""
    try:
        if not interaction.response.is_done():
            await interaction.response.defer()
    except DISCORD_FAILURES as failure:
        # They pressed; that Discord did not hear the answer changes nothing about what they decided.
        logger.warning("a press by %d could not be acknowledged: %s", interaction.user.id, failure, extra=extra)
    try:
        await act(actor_of(interaction.user))
    except Exception as error:  # noqa: BLE001 -- the one boundary of a button; the unexpected goes to the log
        await _tell(interaction, explained(error))


async def _tell(interaction: discord.Interaction[Any], text: str) -> None:
    try:
        await interaction.followup.send(embed=embeds.error(text), ephemeral=True)
    except DISCORD_FAILURES as failure:
        logger.warning("%d could not be told: %s (%s)", interaction.user.id, text, failure)
