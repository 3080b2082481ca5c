"""`/profile` and `/cashback`: a member's account, and the switch for messages about payouts."""

from typing import Any, Final

import discord
from discord import app_commands

from cashback.cogs.actors import actor_of
from cashback.cogs.buttons.member_pages import Page
from cashback.cogs.members.base import MemberCog, claimed
from cashback.cogs.texts import embeds, history_embeds, member_embeds
from cashback.database.referral_program import preferences
from cashback.domain.languages import mark, tr

SWITCHED: Final = {
    (True, True): mark("Messages about your payouts are now on."),
    (True, False): mark("Messages about your payouts are already on."),
    (False, True): mark("Messages about your payouts are now off. You are still paid."),
    (False, False): mark("Messages about your payouts are already off. You are still paid."),
}
"""By whether messages are wanted, and whether that is a change."""


class Accounts(MemberCog):
    """The commands about a member's account."""

    @app_commands.command(
        name="profile", description=mark("Show your wallet and referrals; admins can choose a member.")
    )
    @app_commands.describe(member=mark("The member whose profile is shown; only admins can choose another member."))
    @app_commands.guild_only()
    @claimed
    async def profile(self, interaction: discord.Interaction[Any], member: discord.User | None = None) -> None:
        """Show a profile."""
        user_id = interaction.user.id if member is None else member.id
        if user_id != interaction.user.id:
            await self._service.require_admin(actor_of(interaction.user), f"see the profile of {user_id}")
        shows_spending = user_id != interaction.user.id or self._member_facts.terms.shows_spending
        embed = member_embeds.profile(await self._member_facts.facts(user_id), shows_spending=shows_spending)
        await interaction.followup.send(embed=embed, ephemeral=True)

    cashback = app_commands.Group(name="cashback", description=mark("Your referral cashback."), guild_only=True)
    notifications = app_commands.Group(
        name="notifications", description=mark("Switch messages about your payouts on or off."), parent=cashback
    )

    @cashback.command(
        name="show", description=mark("Show what is pending, what was paid and when, and why the rest is not.")
    )
    @claimed
    async def show(self, interaction: discord.Interaction[Any]) -> None:
        """Show the member's account."""
        await self._send_page(interaction, Page.CASHBACK)

    @cashback.command(
        name="history", description=mark("Show which purchase earned what and when, and why one did not count.")
    )
    @claimed
    async def history(self, interaction: discord.Interaction[Any]) -> None:
        """Show the purchases of the member's referrals."""
        await self._send_page(interaction, Page.HISTORY)

    @cashback.command(name="order", description=mark("Ask what became of one order, of yours or of a referral."))
    @app_commands.describe(number=mark("The order's number, as the shop wrote it."))
    @claimed
    async def order(self, interaction: discord.Interaction[Any], number: app_commands.Range[str, 1, 200]) -> None:
        """Answer about an order."""
        found = await self._member_facts.orders(interaction.user.id, number)
        embed = history_embeds.orders(number, found, interaction.user.id)
        await interaction.followup.send(embed=embed, ephemeral=True)

    @notifications.command(name="on", description=mark("Get a direct message with each payout."))
    @claimed
    async def switch_on(self, interaction: discord.Interaction[Any]) -> None:
        """Switch messages about payouts on."""
        await self._switch(interaction, wanted=True)

    @notifications.command(name="off", description=mark("Get no direct messages about payouts. You are still paid."))
    @claimed
    async def switch_off(self, interaction: discord.Interaction[Any]) -> None:
        """Switch messages about payouts off."""
        await self._switch(interaction, wanted=False)

    async def _switch(self, interaction: discord.Interaction[Any], *, wanted: bool) -> None:
        changed = await self._database.write(preferences.set_payout_dm, interaction.user.id, wanted=wanted)
        await interaction.followup.send(embed=embeds.notice(tr(SWITCHED[wanted, changed])), ephemeral=True)
