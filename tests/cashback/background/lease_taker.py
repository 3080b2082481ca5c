"""A process that holds the lease, or tries to take it from another: `python lease_taker.py hold|take LEDGER`."""

import subprocess
import sys
from pathlib import Path

import anyio

from cashback.background.lease import Lease
from cashback.database import Database

SECONDS = 600
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
ANOTHER_GROUP = ("--regid=65534", "--clear-groups")
"""With its rights or its group, root sees every process in spite of `hidepid`."""


async def play(part: str, ledger: Path) -> None:
    """Hold the lease while another process tries to take it, or be that other process."""
    async with Database(ledger) as database:
        is_taken = await Lease(database, seconds=SECONDS).take()
        if part == "take":
            print("taken" if is_taken else "left alone")  # noqa: T201 -- the test reads it
            return
        assert is_taken
        has_groups = "4294967295" in await anyio.Path("/proc/self/gid_map").read_text(encoding="ascii")
        again = [*WITHOUT_RIGHTS, *ANOTHER_GROUP * has_groups, sys.executable, __file__, "take", str(ledger)]
        await anyio.run_process(again, stdout=None, stderr=subprocess.STDOUT)


if __name__ == "__main__":
    anyio.run(play, sys.argv[1], Path(sys.argv[2]))
