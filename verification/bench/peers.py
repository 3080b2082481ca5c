"""`make bench-peers`: the outbox dispatcher next to Procrastinate's worker, on one PostgreSQL server, in one run.

Both have a queue of messages that are delivered at once, as many at a time, and record each. They alternate, each in a
database of its own; the best of several rounds counts. CPU is that of the process, not the server's.
"""

import argparse
import subprocess
from pathlib import Path
from typing import Final

import anyio
from rich.console import Console
from rich.table import Table

from cashback.background.outbox_dispatcher import MAX_IN_FLIGHT, OutboxDispatcher
from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.domain.model import Delivery, DeliveryStatus, PayoutNotice
from cashback.domain.ports import NullObserver
from pipeline.messages import RunBatch
from stages import make_pipeline
from verification.bench.stopwatch import Spent, stopwatch
from verification.bench.workers import CHUNK, approved
from verification.testbed.databases import new_server

MESSAGES: Final = 2_000
ROUNDS: Final = 3
PEER: Final = Path(__file__).with_name("peer_procrastinate.py")
AT_ONCE_PER_SECOND: Final = 10**6


class _Taker:
    """A service that takes every message at once."""

    async def send(self, _notice: PayoutNotice) -> Delivery:
        return Delivery(status=DeliveryStatus.SENT)


async def _deliver(address: str) -> Spent:
    async with Database(address) as database:
        request, outbox_changed = RunBatch(batch_number=1), WakeUp()
        await make_pipeline(
            request, database=database, observer=NullObserver(), outbox_changed=outbox_changed, chunk_size=CHUNK
        ).run(request)
        dispatcher = OutboxDispatcher(
            database, _Taker(), outbox_changed, per_second=AT_ONCE_PER_SECOND, retry_attempts=0
        )
        with stopwatch() as spent:
            delivered = await dispatcher.deliver_due()
    if delivered != MESSAGES:
        message = f"{delivered} of {MESSAGES} messages were delivered"
        raise RuntimeError(message)
    return spent


def _ours() -> Spent:
    with approved(MESSAGES) as address:
        return anyio.run(_deliver, address)


def _peers(python: Path) -> Spent:
    with new_server() as address:
        command = [str(python), str(PEER), address, str(MESSAGES), str(MAX_IN_FLIGHT)]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 -- our own file
    seconds, cpu_seconds = map(float, told.stdout.split())
    return Spent(seconds=seconds, cpu_seconds=cpu_seconds)


def main() -> None:
    """Measure both in turns, and print the table."""
    parser = argparse.ArgumentParser(prog="verification.bench.peers", description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="a Python that has Procrastinate")
    python: Path = parser.parse_args().python.absolute()
    rounds = [(_ours(), _peers(python)) for _ in range(ROUNDS)]
    table = Table(title=f"{MESSAGES:,} messages, {MAX_IN_FLIGHT} at a time")
    for column in ("who", "messages a second", "CPU for each"):
        table.add_column(column, justify="left" if column == "who" else "right")
    for who, each in zip(("the outbox dispatcher", "Procrastinate's worker"), zip(*rounds, strict=True), strict=True):
        seconds, cpu_seconds = min(one.seconds for one in each), min(one.cpu_seconds or 0 for one in each)
        table.add_row(who, f"{MESSAGES / seconds:,.0f}", f"{cpu_seconds / MESSAGES * 1000:.2f} ms")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
