"""What it takes a newcomer to get from a token to a live bot: commands, answers, seconds, and the processor's seconds.

`python -m verification.bench.newcomer` prints it: the setup with nothing but the token, then the bot until it has
answered a command, on a local Discord. The processor's seconds hardly depend on what else the machine does.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import anyio

from cashback.cogs.gateway.setup_assistant import INVITED_WITH
from sandbox import Member, Sandbox

ANSWER_SECONDS: Final = 120
PROJECT: Final = Path(__file__).parents[2]


class Stopwatch:
    """Measures a step in seconds, and in the processor's seconds of the processes that ended in it."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._used = used_seconds()

    def read(self) -> str:
        """Return both."""
        return f"{time.perf_counter() - self._began:.1f} s, {used_seconds() - self._used:.1f} s of processor time"


def used_seconds() -> float:
    """Return the processor's seconds of all ended processes that this one started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def measure() -> None:
    """Run both steps and print them."""
    async with Sandbox(guild_name="Our Town", bot_name="Cashback") as sandbox:
        ada = sandbox.add_member("Ada")
        sandbox.invite_bot(INVITED_WITH.value)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            await anyio.Path(folder, "token").write_text(sandbox.token)
            environment = {
                **os.environ,
                "PYTHONPATH": str(PROJECT),
                "PYTHONDONTWRITEBYTECODE": "",
                "DISCORD_API_URL": sandbox.api_url,
            }
            command = [sys.executable, "-m", "cli", "setup", "--yes", "--token-file", "token"]
            watch = Stopwatch()
            await anyio.run_process(command, cwd=folder, env=environment, stdout=None)
            print(f"setup, which was given the token and nothing else: {watch.read()}")
            watch = Stopwatch()
            await answer_once(sandbox, ada, folder, environment)
            print(f"bot, until it has answered `!sendref-cashb status`, and its stop: {watch.read()}")


async def answer_once(sandbox: Sandbox, ada: Member, folder: Path, environment: dict[str, str]) -> None:
    """Run the bot until it has answered a command of its admin; stop it."""
    [channel] = [each for each in sandbox.state.guild_channels() if each.name == "cashback-audit"]
    command = [sys.executable, "-m", "cli", "bot"]
    async with await anyio.open_process(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
        await sandbox.wait_connected(1, ANSWER_SECONDS)
        said = await sandbox.say(channel.id, ada.id, "!sendref-cashb status")
        await sandbox.wait_for(lambda each: "All Is Well" in each.text, ANSWER_SECONDS, after=said)
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    anyio.run(measure)
