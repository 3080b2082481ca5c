"""`referral-blacklist`, `-unblacklist`, `-stats`, `-link`, `-unlink`: an admin's commands about one member."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import discord
from discord import app_commands
from discord.ext import commands
from discord.ui import View

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import AdminCog, hidden_from_members
from cashback.cogs.admin.converters import Referrer
from cashback.cogs.buttons.presses import NO_BUTTONS
from cashback.cogs.buttons.undo import unblacklist, unblacklist_view
from cashback.cogs.texts import embeds, member_embeds, member_notes
from cashback.database.referral_program import blacklist, referrals
from cashback.domain.errors import ReferralRefusedError
from cashback.domain.reason_texts import MAX_REASON_LENGTH

Person = Annotated[discord.User, Referrer]


class Referrals(AdminCog):
    """The commands about members. Each change is in the audit log and the audit channel; the member gets a note."""

    @own_commands.command(
        name="referral-blacklist",
        description="Blacklist a member from referral cashback, for present and future referrals.",
        usage="@user [reason]",
    )
    @hidden_from_members
    @app_commands.describe(user="The member to blacklist.", reason="The reason; the member can read it.")
    @app_commands.guild_only()
    async def referral_blacklist(self, ctx: commands.Context[Any], user: Person, *, reason: str | None = None) -> None:
        """Blacklist a member."""
        await own_commands.defer(ctx)
        reason = _clipped(reason)
        if not await self._service.blacklist(actor_of(ctx.author), user.id, reason=reason):
            raise ReferralRefusedError(f"Member {user.id} is already blacklisted; nothing was changed.")
        why = _why(reason)
        done = f"Member {user.id} is blacklisted from referral cashback.{why}"
        entry = await self._database.read(blacklist.blacklisting_of, user.id)
        await self._done(ctx, done, unblacklist_view(user.id, entry))
        self._note(ctx, user.id, partial(member_notes.blacklisted, reason))

    @own_commands.command(
        name="referral-unblacklist",
        description="Let a member earn referral cashback again.",
        usage="@user",
        ignore_extra=False,
    )
    @hidden_from_members
    @app_commands.describe(user="The member to unblacklist.")
    @app_commands.guild_only()
    async def referral_unblacklist(self, ctx: commands.Context[Any], user: Person) -> None:
        """Unblacklist a member."""
        await own_commands.defer(ctx)
        text = await unblacklist(self._services, actor_of(ctx.author), user.id, cause=ctx.message.id)
        await own_commands.answer(ctx, embed=embeds.success("Done", embeds.readable(text)))

    @own_commands.command(
        name="referral-stats",
        description="Show what a member's referrals earned, what was paid, and why the rest was not.",
        usage="@user",
        ignore_extra=False,
    )
    @hidden_from_members
    @app_commands.describe(user="The member.")
    @app_commands.guild_only()
    async def referral_stats(self, ctx: commands.Context[Any], user: Person) -> None:
        """Show a member's statistics."""
        await own_commands.defer(ctx)
        facts = await self._services.member_facts.facts(user.id)
        await own_commands.answer(ctx, embed=member_embeds.admin_view(facts, self._services.member_facts.terms))

    @own_commands.command(
        name="referral-link",
        description="Link a member to the referrer who invited them.",
        usage="@referrer @member [reason]",
    )
    @hidden_from_members
    @app_commands.describe(referrer="The member who invited.", member="The invited member.", reason="The reason.")
    @app_commands.guild_only()
    async def referral_link(
        self, ctx: commands.Context[Any], referrer: Person, member: Person, *, reason: str | None = None
    ) -> None:
        """Link two members."""
        await own_commands.defer(ctx)
        bots = frozenset(person.id for person in (referrer, member) if person.bot)
        await self._service.link(
            actor_of(ctx.author), referrer.id, member.id, reason=(reason := _clipped(reason)), bot_ids=bots
        )
        await self._done(ctx, f"Member {member.id} is linked to Member {referrer.id}.{_why(reason)}")
        self._note(ctx, member.id, partial(member_notes.referred, referrer.id))
        self._note(ctx, referrer.id, partial(member_notes.referring, member.id))

    @own_commands.command(
        name="referral-unlink",
        description="Unlink a member: their later purchases earn no cashback.",
        usage="@member [reason]",
    )
    @hidden_from_members
    @app_commands.describe(member="The invited member.", reason="The reason.")
    @app_commands.guild_only()
    async def referral_unlink(self, ctx: commands.Context[Any], member: Person, *, reason: str | None = None) -> None:
        """Unlink a member from their referrer."""
        await own_commands.defer(ctx)
        referrer_id = await self._database.read(referrals.referrer_of, member.id)
        if referrer_id is None:
            raise ReferralRefusedError(f"Member {member.id} has no referrer; nothing was changed.")
        await self._service.unlink(actor_of(ctx.author), referrer_id, member.id, reason=(reason := _clipped(reason)))
        both = f"Member {member.id} is no longer linked to Member {referrer_id}"
        await self._done(ctx, f"{both}; what was earned stays and is paid.{_why(reason)}")
        self._note(ctx, referrer_id, partial(member_notes.unlinked, member.id))

    def _note(self, ctx: commands.Context[Any], user_id: int, write: Callable[[], discord.Embed]) -> None:
        """Send a note to a member."""
        self._services.note_sender.enqueue(user_id, write, cause=ctx.message.id)

    async def _done(self, ctx: commands.Context[Any], text: str, view: View = NO_BUTTONS) -> None:
        """Answer the admin, and post a line in the audit channel."""
        await own_commands.answer(ctx, embed=embeds.success("Done", embeds.readable(text)), view=view)
        await self._services.post_line(f"{text} By {actor_of(ctx.author)}.")


def _clipped(reason: str | None) -> str | None:
    return embeds.clip(reason, MAX_REASON_LENGTH) if reason else None


def _why(reason: str | None) -> str:
    return f" Reason: {embeds.escaped(reason)}" if reason else ""
