"""Asks the admins for a second approval: one message that mentions their role, when a batch begins to wait."""

import logging
from typing import Any, Final

import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.domain.model import BatchReport

CALL: Final = "<@&{role}> A batch waits for a second admin: **Approve** or **Cancel** it in the message above."

logger = logging.getLogger(__name__)


def is_waiting(report: BatchReport) -> bool:
    """Return whether a batch waits for a second admin."""
    return report.first_approved_by is not None and report.approved_by is None and report.finished_at is None


def allowed(role_id: int | None) -> discord.AllowedMentions:
    """Let a message notify this role and nobody else."""
    roles = [] if role_id is None else [discord.Object(role_id)]
    return discord.AllowedMentions(everyone=False, users=False, roles=roles)


async def call_second_admin(message: discord.Message | None, role_id: int | None, number: int) -> None:
    """Mention the admin role in reply to a batch's message. A failure is logged: the approval itself stands."""
    if message is None or role_id is None:
        return
    reply: Any = message.to_reference(fail_if_not_exists=False)
    try:
        await message.channel.send(CALL.format(role=role_id), reference=reply, allowed_mentions=allowed(role_id))
    except DISCORD_FAILURES as error:
        logger.warning("no second admin could be called: %s", error, extra={"batch_number": number})
