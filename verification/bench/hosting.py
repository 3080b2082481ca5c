"""What the extension costs another bot: its memory, and the seconds until it is connected, with it and without it.

`python -m verification.bench.hosting` prints it. The bot is a process of its own on a local Discord.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from sandbox import Sandbox

ROUNDS: Final = 5
BOT: Final = """
import asyncio, json, os, resource, sys, time
began = time.perf_counter()
import discord, yarl
from discord.ext import commands

discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["GATEWAY_URL"])


class Bot(commands.Bot):
    async def setup_hook(self):
        if "with" in sys.argv:
            self.cashback_settings = json.loads(os.environ["SETTINGS"])
            await self.load_extension("cashback")

    async def on_ready(self):
        seconds = time.perf_counter() - began
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        used = resource.getrusage(resource.RUSAGE_SELF)
        found = {"seconds": seconds, "megabytes": pages * resource.getpagesize() / 1e6}
        print(json.dumps(found | {"processor": used.ru_utime + used.ru_stime}))
        await self.close()


async def main():
    intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
    async with Bot("!", intents=intents) as bot:
        await bot.start(os.environ["DISCORD_TOKEN"])

asyncio.run(main())
"""


def start(environment: dict[str, str], way: str) -> dict[str, float]:
    """Start the bot once; return what it measured."""
    command = [sys.executable, "-c", BOT, way]
    done = subprocess.run(  # noqa: S603 -- the bot above
        command, check=True, capture_output=True, env=environment, cwd=environment["FOLDER"]
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


async def measure() -> None:
    """Start both in turn, and print the medians."""
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    async with Sandbox() as sandbox:
        with tempfile.TemporaryDirectory() as folder:
            role = sandbox.add_role("Admin")
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "DISCORD_API_URL": sandbox.api_url,
                "GATEWAY_URL": sandbox.gateway_url,
                "DISCORD_TOKEN": sandbox.token,
                "FOLDER": folder,
                "SETTINGS": json.dumps({"role_ids": {"admin": role.id}, "database": f"{folder}/ledger.db"}),
            }
            for _ in range(ROUNDS):
                for way, results in found.items():
                    results.append(await to_thread.run_sync(partial(start, environment, way)))
    for way, results in found.items():
        seconds = statistics.median(each["seconds"] for each in results)
        megabytes = statistics.median(each["megabytes"] for each in results)
        processor = statistics.median(each["processor"] for each in results)
        print(
            f"{way} the extension: {seconds:.2f} s until it is ready, {processor:.2f} s of processor time,"
            f" {megabytes:.0f} MB"
        )


if __name__ == "__main__":
    anyio.run(measure)
