"""Claims on commands and presses: each has one answer and one effect, however many bots hear it, and how often.

Several bots with one token each hear every event, and Discord repeats events after a lost connection. The claim is a
row of the ledger: the process that inserts it acts, and all others stay silent.
"""

import logging
from typing import Any, Final

import anyio
import discord
from discord.ext import commands

from cashback.cogs.errors import DISCORD_FAILURES, answer_interaction_error, is_lost_race
from cashback.database import Database, claims
from cashback.domain.errors import CashbackError
from cashback.domain.languages import replace_sentences
from cashback.domain.money import use_money_style
from cashback.settings import Settings

ACKNOWLEDGE_SECONDS: Final = 1.5
"""Discord wants an answer within three seconds. If the claim takes longer than this, the interaction is deferred."""

DEFERRED_ELSEWHERE: Final = "deferred by another bot"
"""Among an interaction's `extras`."""

logger = logging.getLogger(__name__)


class Claims:
    """Decides whether this process acts on a message or an interaction."""

    def __init__(self, database: Database, settings: Settings | None = None) -> None:
        """Claim in this ledger. The answers write amounts and sentences as the `settings` say."""
        self._database = database
        self._settings = settings

    async def win(self, event_id: int) -> bool:
        """Claim a message; return False if it is already claimed. Raises CashbackError if the ledger cannot be used."""
        if self._settings is not None:
            # The library runs commands and presses in tasks of its own, which know nothing of our settings.
            use_money_style(self._settings.money_style)
            replace_sentences(self._settings.replaced_sentences)
        return await self._database.write(claims.claim, event_id, now=self._database.now())

    async def win_interaction(self, interaction: discord.Interaction[Any]) -> bool:
        """Claim an interaction; return False if it is already claimed, or if the ledger cannot be used.

        In the second case the member is answered here, unless another bot has deferred the answer: that one gives it.
        """
        failure: CashbackError | None = None
        is_won = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_defer_if_slow, interaction, name="slow claim")
            try:
                is_won = await self.win(interaction.id)
            except CashbackError as error:
                failure = error
            tasks.cancel_scope.cancel()
        is_ours_to_answer = interaction.type is not discord.InteractionType.autocomplete and not (
            interaction.extras.get(DEFERRED_ELSEWHERE)
        )
        if failure is not None and is_ours_to_answer:
            await answer_interaction_error(interaction, failure)
        return is_won


async def _defer_if_slow(interaction: discord.Interaction[Any]) -> None:
    await anyio.sleep(ACKNOWLEDGE_SECONDS)
    if interaction.type is discord.InteractionType.autocomplete:
        return
    # A cancellation must not hide that Discord took the deferral: what follows it is sent another way.
    with anyio.CancelScope(shield=True):
        await _defer(interaction)


async def _defer(interaction: discord.Interaction[Any]) -> None:
    """Defer an interaction. The members' commands answer privately, those for admins in the channel."""
    is_private = not isinstance(interaction.command, commands.hybrid.HybridAppCommand)
    try:
        await interaction.response.defer(ephemeral=is_private)
    except (*DISCORD_FAILURES, RuntimeError) as error:
        # The library raises RuntimeError after the bot has stopped.
        if not is_lost_race(error):
            logger.warning("interaction %d could not be acknowledged: %s", interaction.id, error)
            return
        # Another bot has deferred it. If this one wins the claim, its answer follows that deferral.
        is_press = interaction.type is discord.InteractionType.component
        kinds = discord.InteractionResponseType
        deferred = kinds.deferred_message_update if is_press else kinds.deferred_channel_message
        note_answered(interaction, deferred)
        interaction.extras[DEFERRED_ELSEWHERE] = True


def note_answered(interaction: discord.Interaction[Any], kind: discord.InteractionResponseType) -> None:
    """Note that another bot has answered an interaction in this way."""
    interaction.response._response_type = kind  # noqa: SLF001 -- the library has no other way to note it
