"""The buttons under a member's referrals. They carry the page that is shown."""

import re
from enum import StrEnum
from functools import partial
from typing import Any, Self

import discord
from discord.ui import Button, View

from cashback.cogs.buttons.presses import ClaimedButton, button_row, show_instead
from cashback.cogs.buttons.services import ButtonServices
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.texts import member_embeds


class Step(StrEnum):
    """The direction of a button."""

    PREVIOUS = "previous"
    NEXT = "next"


class PageButton(ClaimedButton, template=r"cashback:invites:(?P<step>previous|next):(?P<number>[0-9]{1,6})"):
    """Turns to the page before or after the one that is shown."""

    def __init__(self, step: Step, number: int, *, disabled: bool = False) -> None:
        """Create the button of the page `number`, disabled if there is no page beyond it."""
        super().__init__(
            Button(label=step.capitalize(), custom_id=f"cashback:invites:{step}:{number}", disabled=disabled)
        )
        self.step = step
        self.number = number

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(Step(match["step"]), int(match["number"]))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Turn the page. The message is private, so the referrals are always those of the member at the button."""
        number = self.number + 1 if self.step is Step.NEXT else max(self.number - 1, 0)
        await show_instead(interaction, partial(show_page, services.member_facts, interaction.user.id, number))


async def show_page(member_facts: MemberFacts, user_id: int, number: int) -> tuple[discord.Embed, View]:
    """Return a page of a member's referrals with its buttons, or the last page if there are fewer."""
    account = await member_facts.account(user_id)
    last = member_embeds.pages_of(account) - 1
    number = min(number, last)
    embed = member_embeds.referrals(account, await member_facts.page(user_id, number), number)
    if not last:
        return embed, button_row()
    return embed, button_row(
        PageButton(Step.PREVIOUS, number, disabled=number == 0),
        PageButton(Step.NEXT, number, disabled=number == last),
    )
