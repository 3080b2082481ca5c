"""Floods a real bot, one kind after the other, while a shop reports and a batch pays; exit code 1 if it fails.

At least 99% of the shop's signed requests are answered, all payouts are made, the log stays under 1 MB, and the memory
stays flat.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.abc

from cashback.database import Database
from cashback.database.payouts import batches
from cashback.services import CLI, AdminService
from cashback.settings import Settings
from cli.seed import plant, random_members
from sandbox import Sandbox
from verification.bench.dashboard_server import KEY, SECRET, free_port
from verification.floods.flood import KINDS
from verification.floods.shop import PER_SECOND

PAYEES: Final = 5_000
CHUNK: Final = 5
ANSWERED_SHARE: Final = 0.99
LARGEST_LOG_BYTES: Final = 1_000_000
LARGEST_GROWTH_KIB: Final = 30 * 1024
WARM_UP_SECONDS: Final = 10
PATIENCE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen during one flood."""

    kind: str
    connections: int
    sent: int
    answered: int
    slowest_seconds: float
    log_bytes: int
    growth_kib: int
    cpu_seconds: float
    paid: int

    @property
    def broken(self) -> list[str]:
        """The promises that were broken."""
        return [
            *(["requests"] if self.answered < ANSWERED_SHARE * self.sent else []),
            *(["payouts"] if self.paid != PAYEES else []),
            *(["log"] if self.log_bytes > LARGEST_LOG_BYTES else []),
            *(["memory"] if self.growth_kib > LARGEST_GROWTH_KIB else []),
        ]


async def prepare(path: Path) -> tuple[int, int]:
    """Make a ledger with an approved batch; return its number and a buyer."""
    async with Database(path) as database:
        await plant(database, partial(random_members, PAYEES, PAYEES, 1), _ignore_progress)
        service = AdminService(database, Settings(), lambda _number: 0)
        number = (await service.propose(CLI)).batch_number
        await service.approve(CLI, number)
    return number, next(random_members(PAYEES, PAYEES, 1)).member_id


def _ignore_progress(_count: int) -> None:
    """Show nothing."""


@asynccontextmanager
async def running(folder: Path, port: int, sandbox: Sandbox) -> AsyncIterator[anyio.abc.Process]:
    """Run the bot inside the block."""
    content = {
        "role_ids": {"admin": sandbox.add_role("Admin").id},
        "guild_ids": [sandbox.guild_id],
        "referral_settings": {"auto_batch_enabled": False, "chunk_size": CHUNK},
        "dashboard": {"enabled": True, "port": port},
    }
    (folder / "config.json").write_text(json.dumps(content))
    secrets = {
        "DISCORD_TOKEN": sandbox.token,
        "DISCORD_API_URL": sandbox.api_url,
        f"CASHBACK_INTAKE_KEY_{KEY.upper()}": SECRET,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with (folder / "bot.log").open("wb") as log:
        async with await anyio.open_process(
            [sys.executable, "-m", "cli", "bot"], cwd=folder, env={**os.environ, **secrets}, stdout=None, stderr=log
        ) as bot:
            try:
                await sandbox.wait_connected(1, PATIENCE_SECONDS)
                yield bot
            finally:
                bot.terminate()


def memory_kib(pid: int) -> int:
    """Return a process's resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def client(module: str, *arguments: object) -> list[str]:
    """Return the command of a client, which is a process of its own so that it does not slow the others."""
    return [sys.executable, "-m", f"verification.floods.{module}", *map(str, arguments)]


@asynccontextmanager
async def flooded(kind: str, port: int) -> AsyncIterator[list[int]]:
    """Flood inside the block; after it the list has the number of connections that were made."""
    made: list[int] = []
    async with await anyio.open_process(client("flood", kind, port), stderr=None) as process:
        assert process.stdin is not None  # noqa: S101 -- it is a pipe
        assert process.stdout is not None  # noqa: S101 -- it is a pipe
        yield made
        await process.stdin.aclose()
        made.append(int(b"".join([part async for part in process.stdout])))


async def watch(kind: str, seconds: float, per_second: int) -> Outcome:
    """Flood a new bot while the shop sends for so many seconds and until all of its requests are answered."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        number, buyer = await prepare(folder / "cashback.db")
        async with Sandbox() as sandbox, running(folder, port, sandbox) as bot:
            began_cpu_seconds, memory = cpu_seconds(bot.pid), list[int]()

            async def note_memory() -> None:
                await anyio.sleep(min(WARM_UP_SECONDS, seconds / 2))
                memory.append(memory_kib(bot.pid))

            async with flooded(kind, port) as made, anyio.create_task_group() as tasks:
                tasks.start_soon(note_memory)
                shop = await anyio.run_process(
                    client("shop", f"http://127.0.0.1:{port}", buyer, per_second, seconds), stderr=None
                )
            growth_kib = memory_kib(bot.pid) - memory[0]
            used_seconds = cpu_seconds(bot.pid) - began_cpu_seconds
            log_bytes = (folder / "bot.log").stat().st_size
            async with Database(folder / "cashback.db") as database:
                paid = await paid_by(database, number)
    return Outcome(
        kind=kind,
        connections=made[0],
        log_bytes=log_bytes,
        growth_kib=growth_kib,
        cpu_seconds=used_seconds,
        paid=paid,
        **json.loads(shop.stdout),
    )


async def paid_by(database: Database, number: int) -> int:
    """Wait until the batch has ended; return how many it has paid."""
    with anyio.move_on_after(PATIENCE_SECONDS):
        while (report := await database.read(batches.report, number)).finished_at is None:  # noqa: ASYNC110 -- another process's rows
            await anyio.sleep(1)
    return report.users_paid


def main() -> int:
    """Run each flood, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--per-second", type=int, default=PER_SECOND, help="the shop's requests in a second")
    parser.add_argument("--kind", choices=list(KINDS), action="append")
    options = parser.parse_args()
    is_broken = False
    names = "flood", "connections", "the shop's requests answered", "slowest 1%", "CPU", "log", "memory", "payouts"
    print("|", " | ".join([*names, "broken"]), "|\n|", "---|" * (len(names) + 1))  # noqa: T201 -- its result
    for kind in options.kind or KINDS:
        seen = anyio.run(watch, kind, options.seconds, options.per_second)
        share = f"{seen.answered:,} of {seen.sent:,} ({seen.answered / seen.sent:.1%})"
        print(  # noqa: T201 -- its result
            f"| {kind} | {seen.connections:,} | {share} | {seen.slowest_seconds:.2f} s"
            f" | {seen.cpu_seconds:.1f} s | {seen.log_bytes / 1000:.0f} kB"
            f" | {seen.growth_kib / 1024:+.1f} MB | {seen.paid:,} of {PAYEES:,} | {', '.join(seen.broken) or 'none'} |",
            flush=True,
        )
        is_broken |= bool(seen.broken)
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
