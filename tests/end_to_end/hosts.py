"""Other people's bots, with cogs of their own. The extension runs in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import discord
import yarl
from discord.ext import commands

from cashback.cogs.gateway.connection import point_at
from sandbox import Sandbox


def intents() -> discord.Intents:
    """Return what a bot with typed commands needs."""
    return discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)


class Greetings(commands.Cog):
    """A cog of the host: commands, a listener, and an error that only the host handles."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @commands.command()
    async def hello(self, ctx: commands.Context[Any]) -> None:
        await ctx.send("Hello from the host.")

    @commands.command()
    async def broken(self, ctx: commands.Context[Any]) -> None:
        raise LookupError("the host's own mistake")

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        self.heard.append(message.content)


class OtherBot(commands.Bot):
    """A bot that answers every error of a command, as many do, and loads the extension in its setup hook."""

    def __init__(self, settings: object, **options: Any) -> None:  # noqa: ANN401 -- the library's
        super().__init__(**{"command_prefix": "!", "intents": intents(), **options})
        self.cashback_settings = settings
        self.cashback_additions: object = None
        self.greetings = Greetings()
        self.errors: list[str] = []

    async def setup_hook(self) -> None:
        """Load the cogs; sync the tree."""
        await self.add_cog(self.greetings)
        await self.load_extension("cashback")
        await self.tree.sync()

    async def on_command_error(self, context: commands.Context[Any], exception: commands.CommandError, /) -> None:
        """Answer an error."""
        self.errors.append(type(exception).__name__)
        if not isinstance(exception, commands.CommandNotFound):
            await context.send(f"The host's error handler: {type(exception).__name__}")


@asynccontextmanager
async def living(client: commands.Bot, sandbox: Sandbox, stop: anyio.Event | None = None) -> AsyncIterator[None]:
    """Run a bot inside the block; close it at the end, or when `stop` is set."""
    point_at(sandbox.api_url)
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sandbox.gateway_url)
    stop = stop or anyio.Event()

    async def close_at_stop() -> None:
        await stop.wait()
        await client.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close_at_stop)
        tasks.start_soon(client.start, sandbox.token)
        try:
            yield
        finally:
            stop.set()
            with anyio.CancelScope(shield=True):
                await client.close()
