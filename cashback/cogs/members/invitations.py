"""`/invite`, `/invites` and `/setref`: a member's code, their referrals, and entering a referrer's code."""

from functools import partial
from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.buttons.member_pages import Page
from cashback.cogs.errors import DISCORD_FAILURES, RefusedError
from cashback.cogs.members.base import MemberCog, claimed
from cashback.cogs.members.use_limit import UseLimit
from cashback.cogs.texts import member_embeds
from cashback.database.referral_program import preferences
from cashback.domain.errors import ReferralRefusedError
from cashback.domain.languages import mark, speak, tr
from cashback.services import read_code

INVITES_PER_SECONDS: Final = (3, 60.0)
"""How often a member may use `/invite`: each use sends a direct message at the rate shared with payouts."""


class Invitations(MemberCog):
    """The commands about a member's code."""

    _invites = UseLimit(*INVITES_PER_SECONDS)

    @app_commands.command(
        name="invite", description=mark("Show your referral code, how it works, and what it earned you.")
    )
    @app_commands.guild_only()
    @claimed
    async def invite(self, interaction: discord.Interaction[Any]) -> None:
        """Show the code, here and by direct message."""
        self._invites.take(interaction)
        embed = await self._send_page(interaction, Page.CODE)
        self._note_sender.enqueue(interaction.user.id, embed.copy, cause=interaction.id)

    @app_commands.command(name="invites", description=mark("List your referrals and what each of them earned you."))
    @app_commands.guild_only()
    @claimed
    async def invites(self, interaction: discord.Interaction[Any]) -> None:
        """Show the first page of the member's referrals."""
        await self._send_page(interaction, Page.REFERRALS)

    @app_commands.command(
        name="setref", description=mark("Enter the code of the member who invited you: once, for good.")
    )
    @app_commands.describe(code=mark("The number that /invite shows to that member. They then see what you earn them."))
    @app_commands.guild_only()
    @claimed
    async def setref(self, interaction: discord.Interaction[Any], code: str | None = None) -> None:
        """Record the member's referrer and send a note to both; without a code, explain what it means."""
        if code is None:
            embed = member_embeds.before_code(self._member_facts.terms)
        else:
            embed = await self._enter(interaction.guild, interaction.user, code, cause=interaction.id)
        await interaction.followup.send(embed=embed, ephemeral=True)

    @own_commands.typed(name="setref", usage="CODE", ignore_extra=False)
    async def typed_setref(self, ctx: commands.Context[Any], code: str) -> None:
        """Record the member's referrer: the sentence that `/invite` gives to share has this command."""
        # Discord names no language of a typed message.
        speak(await self._database.read(preferences.language_of, ctx.author.id))
        embed = await self._enter(ctx.guild, ctx.author, code, cause=ctx.message.id)
        await own_commands.answer(ctx, embed=embed, reference=ctx.message.to_reference(fail_if_not_exists=False))

    async def _enter(
        self, guild: discord.Guild | None, member: discord.abc.User, code: str, *, cause: object
    ) -> discord.Embed:
        """Record a code; return what the member is told, and send a note to both."""
        member_id, referrer_id = member.id, read_code(code)
        referrer = await _find(guild, referrer_id)
        try:
            await self._service.enter_code(
                member_id,
                referrer_id,
                in_server=referrer is not None,
                is_bot=referrer is not None and referrer.bot,
                joined_at=member.joined_at if isinstance(member, discord.Member) else None,
            )
        except ReferralRefusedError as refused:
            known = await self._database.get_referrer_for_user(member_id)
            if known is None:
                raise
            message = tr("You entered a code before. If it was the wrong one, ask an admin to change it.")
            raise ReferralRefusedError(f"{refused}. {message}") from refused
        terms = self._member_facts.terms
        welcome = member_embeds.code_entered(referrer_id, terms)
        self._note_sender.enqueue(member_id, welcome.copy, cause=cause)
        self._note_sender.enqueue(referrer_id, partial(member_embeds.code_used, member_id, terms), cause=cause)
        return welcome


async def _find(guild: discord.Guild | None, user_id: int) -> discord.Member | None:
    """Return a member of the server; None if no member has this id."""
    if guild is None:
        raise RefusedError(tr("This command works in the server only, not in direct messages."))
    try:
        return await guild.fetch_member(user_id)
    except discord.NotFound:
        return None
    except DISCORD_FAILURES as error:
        raise RefusedError(
            tr("Discord does not answer at the moment; nothing was done. Try again in a minute.")
        ) from error
