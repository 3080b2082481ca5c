"""The bot under load on a local Discord: its response time while a batch is credited, and its pace of messages.

`make bench` prints it. The bot is a separate process with its loop watched from inside; this process is the local
Discord and its users. Both measure by the machine's one monotonic clock.
"""

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from rich.console import Console
from rich.table import Table

import bot
from cashback.database import Database
from cashback.database.payouts import outbox
from cashback.settings import load
from sandbox import Channel, Member, Message, Sandbox
from verification.bench.datasets import FIRST_REFERRER, all_pending
from verification.bench.loop import LoopWatch

REFERRERS: Final = 100_000
DIRECT_MESSAGES: Final = 400
DIRECT_MESSAGES_PER_SECOND: Final = 20
LONGEST_SECONDS: Final = 300
PAUSE_SECONDS: Final = 0.05
TOO_MANY_REQUESTS: Final = 429
COMMAND: Final = "!sendref-cashb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Measurements of the bot's process: when it was ready, and how long its loop was blocked, each with its moment.

    `late` is wall-clock time, so a busy machine counts too; `computed` is the bot's own computing time.
    """

    ready_at: float
    late: tuple[tuple[float, float], ...]
    computed: tuple[tuple[float, float], ...]


class _ReadyListener(logging.Handler):
    """Records the moment at which the bot logs that it is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.ready_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Look for the line."""
        if record.getMessage().startswith("ready in"):
            self.ready_at = time.monotonic()


async def _be_the_bot(told: Path) -> None:
    """Run the bot in this process until SIGTERM; then write its measurements."""
    watch, listener = LoopWatch(), _ReadyListener()
    logging.getLogger("cogs").addHandler(listener)
    logging.getLogger("cogs").setLevel(logging.INFO)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run)
        await bot.serve_until_signal(load())
        tasks.cancel_scope.cancel()
    seen = {
        "ready_at": listener.ready_at,
        "late": list(zip(watch.moments, watch.late_seconds, strict=True)),
        "computed": list(zip(watch.moments, watch.computed_seconds, strict=True)),
    }
    await anyio.Path(told).write_text(json.dumps(seen), encoding="utf-8")


class BotProcess:
    """A local Discord with an admin, and the bot's process for it."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        role = sandbox.add_role("Admin")
        self.admin: Member = sandbox.add_member("Ada", role_ids=[role.id])
        self.channel: Channel = sandbox.add_channel("admins")
        self.other: Channel = sandbox.add_channel("other")
        self.connected_at = 0.0
        self._config: dict[str, Any] = {
            "guild_ids": [sandbox.guild_id],
            "role_ids": {"admin": role.id},
            "logging_channels": {"audit": sandbox.add_channel("audit").id},
            "referral_settings": {"auto_batch_enabled": False, "dm_per_second": DIRECT_MESSAGES_PER_SECOND},
        }

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.folder / "ledger.db"

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[None]:
        """Run the bot's process inside the block."""
        config = self.folder / "config.json"
        config.write_text(json.dumps(self._config), encoding="utf-8")
        environment = {
            **os.environ,
            "CASHBACK_CONFIG": str(config),
            "CASHBACK_DATABASE": str(self.ledger),
            "DISCORD_TOKEN": self.sandbox.token,
            "DISCORD_API_URL": self.sandbox.api_url,
        }
        command = [sys.executable, "-m", "verification.bench.bot_latency", "--bot", str(self.folder / "seen.json")]
        async with await anyio.open_process(command, env=environment, stdout=None, stderr=None) as process:
            await self.sandbox.wait_connected()
            self.connected_at = time.monotonic()
            yield
            process.terminate()
            await process.wait()

    def watched(self) -> Watched:
        """Read the measurements of the bot's process."""
        seen = json.loads((self.folder / "seen.json").read_text(encoding="utf-8"))
        return Watched(**seen)

    async def ask(self, text: str, channel: Channel) -> Message:
        """Type something and wait for the response."""
        said = await self.sandbox.say(channel.id, self.admin.id, text)

        def is_answer(message: Message) -> bool:
            return message.channel_id == channel.id and message.author_id == self.sandbox.bot_user_id

        return await self.sandbox.wait_for(is_answer, LONGEST_SECONDS, after=said)

    async def confirm(self, summary: Message) -> None:
        """Press Confirm."""
        [custom_id] = [each.custom_id or "" for each in summary.buttons if each.label == "Confirm"]
        await self.sandbox.click(summary.id, custom_id, self.admin.id)


@asynccontextmanager
async def _guild(*, real_rate_limits: bool) -> AsyncIterator[BotProcess]:
    with tempfile.TemporaryDirectory() as name:
        async with Sandbox(real_rate_limits=real_rate_limits) as sandbox:
            yield BotProcess(sandbox, Path(name))


async def _answers(referrers: int) -> list[tuple[str, str, str]]:
    """Query repeatedly while everyone is paid, for a member who is owed nothing: that needs the ledger's writer too."""
    async with _guild(real_rate_limits=False) as guild:
        await anyio.to_thread.run_sync(all_pending, guild.ledger, referrers)
        async with guild.bot():
            summary = await guild.ask(COMMAND, guild.channel)
            waits: list[float] = []
            await guild.confirm(summary)
            began_at = time.monotonic()
            while "Complete" not in summary.text:
                asked_at = time.monotonic()
                await guild.ask(f"{COMMAND} {guild.admin.id}", guild.other)
                waits.append(time.monotonic() - asked_at)
                await anyio.sleep(PAUSE_SECONDS)
            ended_at = time.monotonic()
        watched = guild.watched()
        held, computed = (
            max(seconds for moment, seconds in seen if began_at <= moment <= ended_at)
            for seen in (watched.late, watched.computed)
        )
        waits.sort()
        ready_seconds = watched.ready_at - guild.connected_at
    return [
        (
            f"another command while {referrers:,} are credited, of {len(waits)} answers the 95th percentile",
            f"{waits[int(len(waits) * 0.95)] * 1000:.0f} ms",
            "under 100 ms",
        ),
        ("the same, median", f"{statistics.median(waits) * 1000:.0f} ms", ""),
        (
            f"longest hold of the bot's loop in these {ended_at - began_at:.1f} s",
            f"{held * 1000:.0f} ms",
            "under 50 ms",
        ),
        ("of a hold, at most computed by the bot itself", f"{computed * 1000:.0f} ms", ""),
        ("from READY to ready", f"{max(ready_seconds, 0) * 1000:.0f} ms", "under 1,000 ms"),
    ]


async def _pace(people: int) -> list[tuple[str, str, str]]:
    """Pay members with known channels, under Discord's limits, and record when their messages arrived."""
    async with _guild(real_rate_limits=True) as guild:
        await anyio.to_thread.run_sync(all_pending, guild.ledger, people)
        async with Database(guild.ledger) as database:
            for number in range(people):
                member = guild.sandbox.add_member(f"Member {number}", id=FIRST_REFERRER + number)
                channel = guild.sandbox.open_direct_channel(member.id)
                await database.write(outbox.remember_channel, member.id, channel.id)
        async with guild.bot():
            summary = await guild.ask(COMMAND, guild.channel)
            await guild.confirm(summary)
            await guild.sandbox.wait_for(lambda each: f"Sent:** {people}" in each.text, LONGEST_SECONDS)
        channels = {guild.sandbox.direct_messages(FIRST_REFERRER + n)[0].channel_id for n in range(people)}
        paths = {f"/channels/{channel_id}/messages" for channel_id in channels}
        moments = sorted(each.at for each in guild.sandbox.requests if each.path in paths)
        refused = sum(each.status == TOO_MANY_REQUESTS for each in guild.sandbox.requests)
    per_second = (len(moments) - 1) / (moments[-1] - moments[0])
    return [
        (
            f"{people} direct messages at dm_per_second {DIRECT_MESSAGES_PER_SECOND}, 50 requests/s in all",
            f"{per_second:.2f} a second, {per_second / DIRECT_MESSAGES_PER_SECOND:.1%} of the pace",
            "95% or more",
        ),
        ("the same, answers 429", f"{refused}", "0"),
    ]


def main() -> None:
    """Print the table, or run the bot's process."""
    parser = argparse.ArgumentParser(prog="verification.bench.bot_latency", description=__doc__)
    parser.add_argument("--referrers", type=int, default=REFERRERS)
    parser.add_argument("--direct-messages", type=int, default=DIRECT_MESSAGES)
    parser.add_argument("--bot", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bot:
        anyio.run(_be_the_bot, arguments.bot)
        return
    table = Table(title="The bot under load, on a local Discord")
    for column in ("what", "measured", "asked for"):
        table.add_column(column)
    for row in [*anyio.run(_answers, arguments.referrers), *anyio.run(_pace, arguments.direct_messages)]:
        table.add_row(*row)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
