"""The buttons under a member's referrals. They carry the page, so that they work after a restart too."""

import re
from enum import StrEnum
from functools import partial
from typing import Any, Self

import discord
from discord.ui import Button, DynamicItem, View

from cashback.cogs.buttons.presses import ClaimedButton, show_instead
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.texts import member_embeds


class Step(StrEnum):
    """Where a button leads."""

    PREVIOUS = "previous"
    NEXT = "next"


class PageButton(
    ClaimedButton,
    DynamicItem[Button[View]],
    template=r"cashback:invites:(?P<step>previous|next):(?P<number>[0-9]{1,6})",
):
    """Leads from the page that is shown to the one before or after it."""

    def __init__(self, step: Step, number: int, *, disabled: bool = False) -> None:
        """Take the step, the page that is shown, and whether there is none beyond it."""
        super().__init__(
            Button(label=step.capitalize(), custom_id=f"cashback:invites:{step}:{number}", disabled=disabled)
        )
        self.step = step
        self.number = number

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 -- the library's signature
        item: discord.ui.Item[Any],  # noqa: ARG003 -- the library passes it
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the button that was pressed."""
        return cls(Step(match["step"]), int(match["number"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Turn the page: of whoever pressed, since nobody else sees the message."""
        programme: MemberFacts = interaction.client.programme
        number = self.number + 1 if self.step is Step.NEXT else max(self.number - 1, 0)
        await show_instead(interaction, partial(show_page, programme, interaction.user.id, number))


async def show_page(programme: MemberFacts, user_id: int, number: int) -> tuple[discord.Embed, View]:
    """Make the page of a member's referrals with its buttons; the last one where there are no longer so many."""
    facts = await programme.standing(user_id)
    last = member_embeds.pages_of(facts) - 1
    number = min(number, last)
    embed = member_embeds.referrals(facts, await programme.page(user_id, number), number)
    view = View(timeout=None)
    if last:
        view.add_item(PageButton(Step.PREVIOUS, number, disabled=number == 0))
        view.add_item(PageButton(Step.NEXT, number, disabled=number == last))
    return embed, view
