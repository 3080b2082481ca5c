"""A bot of other people as a program: it loads the extension, and reports it. Tests start it, and kill it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import discord
import yarl
from discord.ext import commands


class Own(commands.Cog):
    """A cog of that bot."""

    @commands.command()
    async def hello(self, ctx: commands.Context[Any]) -> None:
        """Greet."""
        await ctx.send("Hello from the host.")


class Bot(commands.Bot):
    """The bot; its settings are those of its config.json."""

    async def setup_hook(self) -> None:
        """Load what it has."""
        await self.add_cog(Own())
        await self.load_extension("cashback")


async def main() -> None:
    """Run until it is killed."""
    discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["GATEWAY_URL"])
    intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)
    async with Bot("!", intents=intents) as bot:
        await bot.start(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    asyncio.run(main())
