"""`referral-blacklist`, `-unblacklist`, `-stats`, `-link`, `-unlink`: what an admin does about one member."""

from typing import Annotated, Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.converters import Referrer
from cashback.cogs.buttons.presses import actor_of
from cashback.cogs.texts import embeds, member_embeds
from cashback.database.referral_program import referrals
from cashback.domain.errors import ReferralRefusedError

REASON_LENGTH: Final = 200

Person = Annotated[discord.User, Referrer]


class Referrals(AdminCog):
    """The commands about members. Each act is in the audit log and the audit channel; the member is told."""

    @commands.hybrid_command(  # type: ignore[arg-type]  # as in payouts.py
        name="referral-blacklist",
        description="Bar a member from referral cashback, for present and future referrals.",
        usage="@user [reason]",
    )
    @app_commands.describe(user="Who is barred.", reason="Why; the member reads it.")
    @app_commands.guild_only()
    async def referral_blacklist(self, ctx: commands.Context[Any], user: Person, *, reason: str | None = None) -> None:
        """Bar a member."""
        reason = _clipped(reason)
        if not await self._service.blacklist(actor_of(ctx.author), user.id, reason=reason):
            raise ReferralRefusedError(f"Member {user.id} is blacklisted already; nothing was changed.")
        why = _why(reason)
        await self._done(ctx, f"Member {user.id} is blacklisted from referral cashback.{why}")
        self._courier.tell(
            user.id,
            embeds.warning(
                "Referral Cashback", f"You are blacklisted from referral cashback: nothing is earned or paid.{why}"
            ),
            cause=ctx.message.id,
        )

    @commands.hybrid_command(  # type: ignore[arg-type]  # as in payouts.py
        name="referral-unblacklist",
        description="Let a member earn referral cashback again.",
        usage="@user",
        ignore_extra=False,
    )
    @app_commands.describe(user="Who may earn again.")
    @app_commands.guild_only()
    async def referral_unblacklist(self, ctx: commands.Context[Any], user: Person) -> None:
        """Let a member earn again."""
        if not await self._service.unblacklist(actor_of(ctx.author), user.id):
            raise ReferralRefusedError(f"Member {user.id} is not blacklisted; nothing was changed.")
        await self._done(ctx, f"Member {user.id} may earn referral cashback again.")
        self._courier.tell(
            user.id,
            embeds.success("Referral Cashback", "You may earn referral cashback again; what was pending is pending."),
            cause=ctx.message.id,
        )

    @commands.hybrid_command(  # type: ignore[arg-type]  # as in payouts.py
        name="referral-stats",
        description="Show what a member's referrals earned, what was paid, and why something was not.",
        usage="@user",
        ignore_extra=False,
    )
    @app_commands.describe(user="Whose statistics.")
    @app_commands.guild_only()
    async def referral_stats(self, ctx: commands.Context[Any], user: Person) -> None:
        """Show a member's statistics."""
        await ctx.defer()
        facts = await self._programme.facts(user.id)
        await ctx.send(embed=member_embeds.admin_view(facts, self._programme.terms))

    @commands.hybrid_command(  # type: ignore[arg-type]  # as in payouts.py
        name="referral-link",
        description="Link a member to the one who brought them.",
        usage="@referrer @member [reason]",
    )
    @app_commands.describe(referrer="Who brought the member.", member="Who was brought.", reason="Why.")
    @app_commands.guild_only()
    async def referral_link(
        self, ctx: commands.Context[Any], referrer: Person, member: Person, *, reason: str | None = None
    ) -> None:
        """Link two members."""
        bots = frozenset(person.id for person in (referrer, member) if person.bot)
        await self._service.link(
            actor_of(ctx.author), referrer.id, member.id, reason=(reason := _clipped(reason)), bot_ids=bots
        )
        await self._done(ctx, f"Member {member.id} is linked to Member {referrer.id}.{_why(reason)}")
        told = f"An admin noted that {embeds.mention(referrer.id)} brought you."
        self._courier.tell(member.id, embeds.success("Referral Recorded", told), cause=ctx.message.id)
        told = f"An admin noted that you brought {embeds.mention(member.id)}; what they buy earns you cashback."
        self._courier.tell(referrer.id, embeds.success("New Referral", told), cause=ctx.message.id)

    @commands.hybrid_command(  # type: ignore[arg-type]  # as in payouts.py
        name="referral-unlink",
        description="Unlink a member: what they buy from now on earns nobody cashback.",
        usage="@member [reason]",
    )
    @app_commands.describe(member="Who was brought.", reason="Why.")
    @app_commands.guild_only()
    async def referral_unlink(self, ctx: commands.Context[Any], member: Person, *, reason: str | None = None) -> None:
        """Unlink a member from whoever brought them."""
        referrer_id = await self._database.read(referrals.referrer_of, member.id)
        if referrer_id is None:
            raise ReferralRefusedError(f"Nobody brought Member {member.id}; nothing was changed.")
        await self._service.unlink(actor_of(ctx.author), referrer_id, member.id, reason=(reason := _clipped(reason)))
        both = f"Member {member.id} is no longer linked to Member {referrer_id}"
        await self._done(ctx, f"{both}; what was earned stays and is paid.{_why(reason)}")
        told = f"{embeds.mention(member.id)} no longer counts as your referral; what you earned stays yours."
        self._courier.tell(referrer_id, embeds.warning("Referral Ended", told), cause=ctx.message.id)

    async def _done(self, ctx: commands.Context[Any], text: str) -> None:
        """Answer whoever asked, and say it in the audit channel."""
        await ctx.send(embed=embeds.success("Done", embeds.readable(text)))
        await self._tell(f"{text} By {actor_of(ctx.author)}.")


def _clipped(reason: str | None) -> str | None:
    return embeds.clip(reason, REASON_LENGTH) if reason else None


def _why(reason: str | None) -> str:
    return f" Reason: {embeds.escaped(reason)}" if reason else ""
