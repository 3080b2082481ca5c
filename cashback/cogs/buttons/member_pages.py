"""A member's private pages, and the buttons that lead from one to the next. They carry what they lead to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final, Self

import discord
from discord.ui import Button, View

from cashback.cogs.buttons.presses import ClaimedButton, button_row, show_instead
from cashback.cogs.buttons.services import ButtonServices
from cashback.cogs.buttons.withdrawals import cancel_button
from cashback.cogs.command_names import member_commands
from cashback.cogs.errors import answer_interaction_error
from cashback.cogs.member_facts import MemberFacts
from cashback.cogs.texts import help_embeds, history_embeds, member_embeds, wallet_embeds
from cashback.domain.languages import mark, tr
from cashback.services import AdminService


class Page(StrEnum):
    """A page. The values are part of stored custom ids."""

    CODE = "code"
    REFERRALS = "invites"
    CASHBACK = "cashback"
    HISTORY = "history"
    WALLET = "wallet"
    HELP = "help"


LABELS: Final = {
    Page.CODE: mark("My Code"),
    Page.REFERRALS: mark("My Referrals"),
    Page.CASHBACK: mark("My Cashback"),
    Page.HISTORY: mark("My History"),
    Page.WALLET: mark("My Wallet"),
    Page.HELP: mark("All Commands"),
}
NEXT: Final[dict[Page, Sequence[Page]]] = {
    Page.CODE: (Page.REFERRALS, Page.CASHBACK),
    Page.REFERRALS: (Page.CODE, Page.CASHBACK),
    Page.CASHBACK: (Page.HISTORY, Page.WALLET, Page.REFERRALS),
    Page.HISTORY: (Page.CASHBACK,),
    Page.WALLET: (Page.CASHBACK, Page.HISTORY),
    Page.HELP: (Page.CODE, Page.CASHBACK, Page.WALLET),
}
"""What a member probably wants after a page."""


class Step(StrEnum):
    """The direction of a button in a list. The values are part of stored custom ids."""

    PREVIOUS = "previous"
    NEXT = "next"


STEPS: Final = {Step.PREVIOUS: mark("Previous"), Step.NEXT: mark("Next")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A page that a member asked for: the page `number` of a list, from 0."""

    user_id: int
    client: Any
    member_facts: MemberFacts
    service: AdminService
    number: int = 0

    @classmethod
    def by(cls, interaction: discord.Interaction[Any], services: ButtonServices, number: int = 0) -> Self:
        """Return what a member asks for with a button."""
        return cls(
            user_id=interaction.user.id,
            client=interaction.client,
            member_facts=services.member_facts,
            service=services.service,
            number=number,
        )


class MemberPageButton(ClaimedButton, template=r"cashback:page:(?P<page>code|invites|cashback|history|wallet|help)"):
    """Shows a page to the member at the button, in a message of its own."""

    def __init__(self, page: Page) -> None:
        """Create the button that leads to a page."""
        super().__init__(
            Button(label=tr(LABELS[page]), style=discord.ButtonStyle.secondary, custom_id=f"cashback:page:{page}")
        )
        self.page = page

    @property
    def is_for_members(self) -> bool:
        """Members use it."""
        return True

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(Page(match["page"]))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Show the page, privately."""
        try:
            if not interaction.response.is_done():
                await interaction.response.defer(ephemeral=True, thinking=True)
            embed, view = await member_page(self.page, Asked.by(interaction, services))
            await interaction.followup.send(embed=embed, view=view, ephemeral=True)
        except Exception as error:  # noqa: BLE001 -- the one boundary of a button; the unexpected goes to the log
            await answer_interaction_error(interaction, error)


class PageButton(
    ClaimedButton, template=r"cashback:(?P<page>invites|history):(?P<step>previous|next):(?P<number>[0-9]{1,6})"
):
    """Turns to the page before or after the one that is shown."""

    def __init__(self, page: Page, step: Step, number: int, *, disabled: bool = False) -> None:
        """Create the button of the page `number` of a list, disabled if there is no page beyond it."""
        super().__init__(Button(label=tr(STEPS[step]), custom_id=f"cashback:{page}:{step}:{number}", disabled=disabled))
        self.page = page
        self.step = step
        self.number = number

    @property
    def is_for_members(self) -> bool:
        """Members use it."""
        return True

    @classmethod
    def parse(cls, match: re.Match[str]) -> Self:
        """Return the button with this custom id."""
        return cls(Page(match["page"]), Step(match["step"]), int(match["number"]))

    async def press(self, interaction: discord.Interaction[Any], services: ButtonServices) -> None:
        """Turn the page. The message is private, so the list is always that of the member at the button."""
        number = self.number + 1 if self.step is Step.NEXT else max(self.number - 1, 0)
        await show_instead(interaction, partial(member_page, self.page, Asked.by(interaction, services, number)))


async def member_page(page: Page, asked: Asked) -> tuple[discord.Embed, View]:
    """Return a member's page with the buttons for what follows."""
    embed, buttons = await _MAKERS[page](asked)
    return embed, button_row(*buttons, *map(MemberPageButton, NEXT[page]))


Made = tuple[discord.Embed, Sequence[ClaimedButton]]


async def _code(asked: Asked) -> Made:
    facts = asked.member_facts
    account, payday = await facts.account(asked.user_id), await facts.next_payout_at()
    return member_embeds.invitation(asked.user_id, account, facts.terms, payday), ()


async def _referrals(asked: Asked) -> Made:
    """Make a page of the member's referrals, or the last page if there are fewer."""
    facts = asked.member_facts
    account = await facts.account(asked.user_id)
    last = member_embeds.pages_of(account) - 1
    number = min(asked.number, last)
    embed = member_embeds.referrals(account, await facts.page(asked.user_id, number), number, facts.terms)
    return embed, _turning(Page.REFERRALS, number, last)


def _turning(page: Page, number: int, last: int) -> Sequence[ClaimedButton]:
    """Return the buttons that turn the pages of a list; none if it has one page."""
    if not last:
        return ()
    return (
        PageButton(page, Step.PREVIOUS, number, disabled=number == 0),
        PageButton(page, Step.NEXT, number, disabled=number == last),
    )


async def _cashback(asked: Asked) -> Made:
    facts = asked.member_facts
    return member_embeds.cashback(await facts.facts(asked.user_id), facts.terms), ()


async def _history(asked: Asked) -> Made:
    """Make a page of the purchases of the member's referrals, or the last page if there are fewer."""
    facts = asked.member_facts
    pages = await facts.purchase_pages(asked.user_id)
    number = min(asked.number, pages - 1)
    embed = history_embeds.history(await facts.purchases(asked.user_id, number), number, pages, facts.terms)
    return embed, _turning(Page.HISTORY, number, pages - 1)


async def _wallet(asked: Asked) -> Made:
    shown = await asked.member_facts.wallet(asked.user_id)
    embed = wallet_embeds.wallet(shown, asked.service.withdrawal_terms)
    return embed, () if shown.open_withdrawal is None else (cancel_button(shown.open_withdrawal),)


async def _help(asked: Asked) -> Made:
    return help_embeds.for_members(member_commands(asked.client)), ()


_MAKERS: Final = {
    Page.CODE: _code,
    Page.REFERRALS: _referrals,
    Page.CASHBACK: _cashback,
    Page.HISTORY: _history,
    Page.WALLET: _wallet,
    Page.HELP: _help,
}
