"""The embed about an order."""

from datetime import datetime
from typing import Final

import discord

from cashback.cogs.texts.embeds import clip, escaped, in_local_time, mention, named
from cashback.domain.orders import OrderFacts, Wording, order_lines

MOST_SHOWN: Final = 5
"""Shops that have an order with one id: each is a message."""

LONGEST: Final = 4_000
WORDING: Final = Wording(person=mention, actor=named, quoted=escaped)


def order(shown: OrderFacts, now: datetime) -> discord.Embed:
    """Show an order to admins."""
    title, *lines = order_lines(shown, now, WORDING)
    text = in_local_time("\n".join(lines))
    return discord.Embed(title=clip(title, 200), description=clip(text, LONGEST), colour=discord.Colour.blurple())
