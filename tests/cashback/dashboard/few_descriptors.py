"""A process with 256 descriptors that serves a dashboard, and opens sockets as the Discord client does when asked."""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.to_thread

from cashback.database import Database
from cashback.domain.ports import utc_now
from tests.cashback.dashboard.conftest import Guild, dashboard_settings, serving
from tests.conftest import LedgerFixture

DESCRIPTORS = 256
DISCORD_SOCKETS = 64


async def main(path: Path) -> None:
    """Serve until standard input ends; a line on it opens the sockets."""
    async with Database(path) as database:
        settings = dashboard_settings(path)
        async with serving(database, settings, Guild(), LedgerFixture(database, utc_now)):
            sys.stdout.write(f"{settings.dashboard.port}\n")
            sys.stdout.flush()
            while await anyio.to_thread.run_sync(sys.stdin.readline):
                with ExitStack() as stack:
                    for _ in range(DISCORD_SOCKETS):
                        stack.enter_context(socket.socket())
                    sys.stdout.write(f"opened {DISCORD_SOCKETS}\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    anyio.run(main, Path(sys.argv[1]))
