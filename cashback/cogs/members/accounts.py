"""`/profile` and `/cashback`: how a member's cashback stands, and whether payouts are announced to the member."""

from typing import Any

import discord
from discord import app_commands

from cashback.cogs.buttons.presses import actor_of
from cashback.cogs.members.base import MemberCog
from cashback.cogs.texts import embeds, member_embeds
from cashback.database.referral_program import preferences


class Accounts(MemberCog):
    """The commands about what a member has and gets."""

    @app_commands.command(name="profile", description="Your wallet and referrals. Admins may look at other members'.")
    @app_commands.describe(member="Whose profile to show; only admins may name somebody else.")
    @app_commands.guild_only()
    async def profile(self, interaction: discord.Interaction[Any], member: discord.User | None = None) -> None:
        """Show a profile."""
        user_id = interaction.user.id if member is None else member.id
        if user_id != interaction.user.id:
            await self._service.require_admin(actor_of(interaction.user), f"see the profile of {user_id}")
        embed = member_embeds.profile(await self._programme.facts(user_id))
        await interaction.followup.send(embed=embed, ephemeral=True)

    cashback = app_commands.Group(name="cashback", description="Your referral cashback.", guild_only=True)
    notifications = app_commands.Group(
        name="notifications", description="Whether you are told of payouts.", parent=cashback
    )

    @cashback.command(name="show", description="What is pending, when it is paid, what was paid, and why not.")
    async def show(self, interaction: discord.Interaction[Any]) -> None:
        """Show how the member's cashback stands."""
        embed = member_embeds.cashback(await self._programme.facts(interaction.user.id), self._programme.terms)
        await interaction.followup.send(embed=embed, ephemeral=True)

    @notifications.command(name="on", description="Get a direct message with each payout.")
    async def switch_on(self, interaction: discord.Interaction[Any]) -> None:
        """Let payouts be announced to the member."""
        await self._switch(interaction, wanted=True)

    @notifications.command(name="off", description="Get no direct messages about payouts. You are paid all the same.")
    async def switch_off(self, interaction: discord.Interaction[Any]) -> None:
        """Let payouts not be announced to the member."""
        await self._switch(interaction, wanted=False)

    async def _switch(self, interaction: discord.Interaction[Any], *, wanted: bool) -> None:
        changed = await self._database.write(preferences.set_payout_dm, interaction.user.id, wanted=wanted)
        switch = "on" if wanted else "off"
        text = f"Messages about your payouts are {'now' if changed else 'already'} {switch}."
        paid = "" if wanted else " You are paid all the same."
        await interaction.followup.send(embed=embeds.notice(text + paid), ephemeral=True)
