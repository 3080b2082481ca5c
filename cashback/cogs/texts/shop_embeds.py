"""The embeds about shops."""

from collections.abc import Mapping
from typing import Final

import discord

from cashback.cogs.texts.embeds import DESCRIPTION_LENGTH, clip
from cashback.domain.languages import mark, tr

CLAIM_TRIED: Final = mark(
    "If an order with this number waits for its member, it counts as your purchase now. You have five tries a day; if"
    " it should count and does not, ask an admin."
)
LINK_TRIED: Final = mark(
    "If an order of this e-mail with this number waits for its member, the e-mail is linked to you now, and what you"
    " buy with it counts. You have five tries a day; if it should and does not, ask an admin."
)


def links(shops: Mapping[str, tuple[str, str | None]]) -> discord.Embed:
    """Show a member's link to each shop, by the shops' names; a shop without a place for the id has its own only."""
    embed = discord.Embed(title=tr("🛒 Your Links to the Shops"), colour=discord.Colour.blurple())
    if not shops:
        embed.description = tr("No shop has a link here. Buy as usual, then enter the order's number with `/claim`.")
        return embed
    lines = [
        f"**{name}**: {own}"
        if own is not None
        else tr("**{name}**: {link} (then `/claim` your order)", name=name, link=plain)
        for name, (plain, own) in shops.items()
    ]
    lines.append(tr("What you buy by your own link counts for the member who invited you. Keep it to yourself."))
    embed.description = clip("\n".join(lines), DESCRIPTION_LENGTH)
    return embed
