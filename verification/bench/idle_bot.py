"""What the idle bot costs: its memory, and the CPU time and seconds until Discord has it connected.

`python -m verification.bench.idle_bot` prints it. The bot is a process of its own, as `cashback bot` starts it, on a
local Discord and a new ledger.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from sandbox import Sandbox

ROUNDS: Final = 5
IDLE_SECONDS: Final = 5
"""By then all tasks have had their first turn."""
LONGEST_SECONDS: Final = 120
COMMAND: Final = Path(sys.executable).with_name("cashback")
MB: Final = 1e6
KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """One start: seconds and CPU seconds until the gateway has the bot, CPU seconds and memory when it is idle."""

    seconds: float
    cpu_seconds: float
    idle_cpu_seconds: float
    resident_mb: float
    own_mb: float


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> tuple[float, float]:
    """Return what is resident, and what no other process shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    sizes = {name: int(rest.split()[0]) * KIB / MB for name, _, rest in (line.partition(":") for line in lines[1:])}
    return sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"]


async def start(folder: Path, settings: dict[str, object]) -> Idle:
    """Start the bot on a new ledger, leave it idle, and stop it."""
    async with Sandbox() as sandbox:
        role = sandbox.add_role("Admin")
        config = folder / "config.json"
        channel = sandbox.add_channel("audit")
        config.write_text(
            json.dumps(
                {
                    "guild_ids": [sandbox.guild_id],
                    "role_ids": {"admin": role.id},
                    "logging_channels": {"audit": channel.id},
                    **settings,
                }
            ),
            encoding="utf-8",
        )
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
            "CASHBACK_CONFIG": str(config),
            "CASHBACK_DATABASE": str(folder / "ledger.db"),
            "DISCORD_TOKEN": sandbox.token,
            "DISCORD_API_URL": sandbox.api_url,
        }
        began = time.perf_counter()
        async with await anyio.open_process([COMMAND, "bot"], env=environment, stdout=None, stderr=None) as process:
            await sandbox.wait_connected(timeout_seconds=LONGEST_SECONDS)
            seconds, cpu_seconds = time.perf_counter() - began, _cpu_seconds(process.pid)
            await anyio.sleep(IDLE_SECONDS)
            idle_cpu_seconds = _cpu_seconds(process.pid)
            resident_mb, own_mb = _memory_mb(process.pid)
            process.terminate()
            await process.wait()
    return Idle(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        idle_cpu_seconds=idle_cpu_seconds,
        resident_mb=resident_mb,
        own_mb=own_mb,
    )


async def measure(rounds: int, settings: dict[str, object]) -> None:
    """Start it several times, and print the medians."""
    starts = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            starts.append(await start(Path(folder), settings))
    for name in Idle.__dataclass_fields__:
        print(f"{name}: {statistics.median(getattr(each, name) for each in starts):.2f}")


def main() -> None:
    """Measure as asked."""
    parser = argparse.ArgumentParser(prog="verification.bench.idle_bot", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--settings", type=json.loads, default={}, help="further settings, as JSON")
    arguments = parser.parse_args()
    anyio.run(measure, arguments.rounds, arguments.settings)


if __name__ == "__main__":
    main()
