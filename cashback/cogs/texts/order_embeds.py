"""The embed about an order."""

from datetime import datetime
from typing import Final

import discord

from cashback.cogs.texts.embeds import clip, escaped
from cashback.domain.orders import OrderFacts, order_lines

MOST_SHOWN: Final = 5
"""Shops that have an order with one id: each is a message."""

LONGEST: Final = 4_000


def order(shown: OrderFacts, now: datetime) -> discord.Embed:
    """Show an order to admins."""
    title, *lines = order_lines(shown, now)
    text = "\n".join(escaped(line) for line in lines)
    return discord.Embed(title=clip(title, 200), description=clip(text, LONGEST), colour=discord.Colour.blurple())
