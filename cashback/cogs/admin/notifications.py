"""`sendref-cashb notifications`: direct messages that failed, and queueing them again."""

import re
from typing import Any, Final

from discord import app_commands
from discord.ext import commands

from cashback.cogs import own_commands
from cashback.cogs.actors import actor_of
from cashback.cogs.admin.base import AdminCog
from cashback.cogs.admin.payouts import Payouts
from cashback.cogs.texts import embeds
from cashback.database.payouts import batches, outbox
from cashback.domain.money import grouped

EVERYTHING: Final = "all"
WHOSE: Final = commands.parameter(displayed_name="batch or member")
_MEMBER: Final = re.compile(r"(?:<@!?)?([0-9]{15,20})>?")


class NotificationCommands(AdminCog):
    """Commands for payouts' direct messages."""

    @Payouts.sendref_cashb.group(
        name="notifications",
        description="How many direct messages about payouts failed, and how many are queued.",
        ignore_extra=False,
        case_insensitive=True,
    )
    async def notifications(self, ctx: commands.Context[Any]) -> None:
        """Count the messages."""
        read = self._database.read
        failed, queued, undeliverable = [
            await read(count) for count in (outbox.count_failed, outbox.depth, outbox.count_undeliverable)
        ]
        text = f"{embeds.counted(failed, 'direct message')} failed, {grouped(queued)} queued,"
        text += f" {grouped(undeliverable)} undeliverable."
        if undeliverable:
            text += (
                " Undeliverable are those to members that accept none; once one does, queue them again:"
                f" `{ctx.prefix}sendref-cashb notifications retry @user`."
            )
        if failed:
            text += f" Queue the failed ones again: `{ctx.prefix}sendref-cashb notifications retry all`."
        await own_commands.answer(ctx, embed=embeds.notice(text))

    @notifications.command(
        name="retry",
        description="Queue failed direct messages again: a batch's, a member's, or all.",
        usage="BATCH-ID` or `@user` or `all",
        ignore_extra=False,
    )
    @app_commands.describe(of="A batch's ID or number, a member, or `all`.")
    @app_commands.guild_only()
    async def retry_notifications(self, ctx: commands.Context[Any], of: str = WHOSE) -> None:
        """Queue the messages; the bot that pays sends them within a minute."""
        await own_commands.defer(ctx)
        batch_number = user_id = None
        member = _MEMBER.fullmatch(of)
        if member is not None:
            user_id = int(member[1])
        elif of.lower() != EVERYTHING:
            batch_number = await self._database.read(batches.find_named, of)
        count = await self._service.retry_notifications(
            actor_of(ctx.author), batch_number=batch_number, user_id=user_id
        )
        self._services.summaries_changed.set()
        text = (
            f"{embeds.counted(count, 'direct message')} queued again." if count else "No failed direct messages found."
        )
        await own_commands.answer(ctx, embed=embeds.notice(text))
