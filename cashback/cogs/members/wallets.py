"""`/wallet`, `/withdraw` and `/autowithdraw`: a member's wallet, and getting money out of it."""

from typing import Any, Final

import discord
from discord import app_commands

from cashback.cogs.buttons.member_pages import Page
from cashback.cogs.buttons.withdrawals import cancel_view
from cashback.cogs.members.base import MemberCog, claimed
from cashback.cogs.texts import wallet_embeds
from cashback.domain.errors import CashbackError
from cashback.domain.languages import language, mark, tr
from cashback.domain.money import ENGLISH, dollars, parse_typed_dollars

EXAMPLE: Final = 125_000

OFF: Final = "off"


class WalletCommands(MemberCog):
    """The commands about a member's wallet."""

    @app_commands.command(
        name="wallet", description=mark("Show your balance, last transactions, and what you requested.")
    )
    @app_commands.guild_only()
    @claimed
    async def wallet(self, interaction: discord.Interaction[Any]) -> None:
        """Show the wallet, with a button that cancels an open request."""
        await self._send_page(interaction, Page.WALLET)

    @app_commands.command(name="withdraw", description=mark("Get money out of your wallet."))
    @app_commands.describe(
        amount=mark("The amount, for example 12.50."),
        method=mark("One of the methods that /wallet shows."),
        to=mark("Where it goes to, if the method needs it; only admins see it."),
    )
    @app_commands.guild_only()
    @claimed
    async def withdraw(
        self, interaction: discord.Interaction[Any], amount: str, method: str, to: str | None = None
    ) -> None:
        """Take the amount out of the wallet into a request."""
        cents = _cents(amount)
        asked = await self._service.request_withdrawal(interaction.user.id, cents, method, to)
        await interaction.followup.send(embed=wallet_embeds.note(asked), view=cancel_view(asked), ephemeral=True)

    @app_commands.command(name="autowithdraw", description=mark("Send each payout on by itself, or stop that."))
    @app_commands.describe(
        method=mark("One of the methods that /wallet shows, or off."),
        to=mark("Where it goes to, if the method needs it; only admins see it."),
    )
    @app_commands.guild_only()
    @claimed
    async def autowithdraw(self, interaction: discord.Interaction[Any], method: str, to: str | None = None) -> None:
        """Turn later payouts into requests at once, or leave them in the wallet."""
        if method.strip().lower() == OFF:
            await self._service.stop_sending(interaction.user.id)
        else:
            await self._service.send_each_time(interaction.user.id, method, to)
        await self._send_page(interaction, Page.WALLET)


def _cents(amount: str) -> int:
    """Read an amount; explain in the member's language if it cannot be read."""
    try:
        return parse_typed_dollars(amount)
    except CashbackError:
        if language() == ENGLISH:
            raise
        text = tr("{amount} is not an amount; write it as in {example}.", amount=repr(amount), example=dollars(EXAMPLE))
        raise CashbackError(text) from None
