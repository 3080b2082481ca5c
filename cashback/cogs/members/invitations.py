"""`/invite`, `/invites` and `/setref`: a member's code, their referrals, and entering a referrer's code."""

from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.buttons.paging import show_page
from cashback.cogs.errors import DISCORD_FAILURES, RefusedError
from cashback.cogs.members.base import MemberCog, claimed
from cashback.cogs.texts import embeds, member_embeds
from cashback.services import read_code

INVITES_PER_SECONDS: Final = (3, 60.0)
"""How often a member may use `/invite`: each use sends a direct message at the rate shared with payouts."""


def _member_of(interaction: discord.Interaction[Any]) -> int:
    return interaction.user.id


class Invitations(MemberCog):
    """The commands about a member's code."""

    _invites = commands.CooldownMapping.from_cooldown(*INVITES_PER_SECONDS, _member_of)

    @app_commands.command(name="invite", description="Show your referral code, how it works, and what it earned you.")
    @app_commands.guild_only()
    @claimed
    async def invite(self, interaction: discord.Interaction[Any]) -> None:
        """Show the code, here and by direct message."""
        bucket = self._invites.get_bucket(interaction, interaction.created_at.timestamp())
        if bucket is not None and (wait := bucket.update_rate_limit(interaction.created_at.timestamp())):
            raise app_commands.CommandOnCooldown(app_commands.Cooldown(*INVITES_PER_SECONDS), wait)
        user_id = interaction.user.id
        embed = member_embeds.invitation(user_id, await self._member_facts.account(user_id), self._member_facts.terms)
        await interaction.followup.send(embed=embed, ephemeral=True)
        self._note_sender.enqueue(user_id, embed, cause=interaction.id)

    @app_commands.command(name="invites", description="List your referrals and what each of them earned you.")
    @app_commands.guild_only()
    @claimed
    async def invites(self, interaction: discord.Interaction[Any]) -> None:
        """Show the first page of the member's referrals."""
        embed, view = await show_page(self._member_facts, interaction.user.id, 0)
        await interaction.followup.send(embed=embed, view=view, ephemeral=True)

    @app_commands.command(name="setref", description="Enter the code of the member who invited you, once.")
    @app_commands.describe(code="The number that /invite shows to the member who invited you.")
    @app_commands.guild_only()
    @claimed
    async def setref(self, interaction: discord.Interaction[Any], code: str) -> None:
        """Record the member's referrer and send a note to both."""
        member_id, referrer_id = interaction.user.id, read_code(code)
        referrer = await _find(interaction, referrer_id)
        await self._service.enter_code(
            member_id,
            referrer_id,
            in_server=referrer is not None,
            is_bot=referrer is not None and referrer.bot,
        )
        percent = self._member_facts.terms.percent
        welcome = embeds.success("Referral Recorded", f"You were invited by {embeds.mention(referrer_id)}.")
        new_referral = embeds.success(
            "New Referral",
            f"{embeds.mention(member_id)} entered your code. You earn {percent} of what they buy from now on.",
        )
        await interaction.followup.send(embed=welcome, ephemeral=True)
        self._note_sender.enqueue(member_id, welcome, cause=interaction.id)
        self._note_sender.enqueue(referrer_id, new_referral, cause=interaction.id)


async def _find(interaction: discord.Interaction[Any], user_id: int) -> discord.Member | None:
    """Return a member of the server; None if no member has this id."""
    if interaction.guild is None:
        raise RefusedError("This command works in the server only, not in direct messages.")
    try:
        return await interaction.guild.fetch_member(user_id)
    except discord.NotFound:
        return None
    except DISCORD_FAILURES as error:
        raise RefusedError("Discord does not answer at the moment; nothing was done. Try again in a minute.") from error
