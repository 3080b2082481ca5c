"""Notes to members about what an admin did: pure functions from facts to embeds."""

import discord

from cashback.cogs.texts.embeds import escaped, mention, success, warning
from cashback.domain.languages import tr
from cashback.domain.money import dollars


def reversed_payout(cents: int, batch_id: str, reason: str) -> discord.Embed:
    """Inform a member that a payout was reversed."""
    text = tr("{amount} of {batch} was taken out of your wallet.", amount=dollars(cents), batch=batch_id)
    why = tr("**Reason:** {reason}", reason=escaped(reason))
    return warning(tr("Referral Cashback Reversed"), f"{text}\n{why}")


def blacklisted(reason: str | None) -> discord.Embed:
    """Inform a member of a blacklisting."""
    text = tr("You are blacklisted from referral cashback: nothing is earned or paid.")
    if reason:
        why = tr("Reason: {reason}", reason=escaped(reason))
        text = f"{text} {why}"
    return warning(tr("Referral Cashback"), text)


def unblacklisted() -> discord.Embed:
    """Inform a member that a blacklisting ended."""
    text = tr("You may earn referral cashback again. What was pending still is.")
    return success(tr("Referral Cashback"), text)


def referred(referrer_id: int) -> discord.Embed:
    """Inform a member that an admin linked them."""
    text = tr("An admin recorded that {referrer} invited you.", referrer=mention(referrer_id))
    return success(tr("Referral Recorded"), text)


def referring(member_id: int) -> discord.Embed:
    """Inform a referrer that an admin linked a member."""
    text = tr(
        "An admin recorded that you invited {member}; their purchases earn you cashback.", member=mention(member_id)
    )
    return success(tr("New Referral"), text)


def unlinked(member_id: int) -> discord.Embed:
    """Inform a referrer that an admin unlinked a member."""
    text = tr("{member} no longer counts as your referral; what you earned stays yours.", member=mention(member_id))
    return warning(tr("Referral Ended"), text)
