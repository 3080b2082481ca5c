"""The environment of worlds: a folder in memory, an empty ledger, and computers that serve one world after another."""

import logging
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio

from cashback.database import Database
from verification.simulation.faulty_ledger import SimulatedLedger
from verification.simulation.world import START

MEMORY: Final = Path("/dev/shm")  # noqa: S108 -- a folder of ours is made in it
COMPUTERS: Final = 2


class Environment:
    """Use it as a context: it silences the program's log, and removes its folder at the end."""

    def __init__(self) -> None:
        """Create the folder, in memory if the machine has such a place."""
        self._folder = Path(tempfile.mkdtemp(prefix="cashback-", dir=MEMORY if MEMORY.is_dir() else None))
        self._template = self._folder / "template.db"
        self._path = self._folder / "ledger.db"
        self._computers = [SimulatedLedger(self._path) for _ in range(COMPUTERS)]
        self._log_level = logging.root.manager.disable

    def __enter__(self) -> Self:
        """Create the empty ledger."""

        async def create() -> None:
            async with Database(self._template, clock=lambda: START) as database:
                await database.share("another bot")

        anyio.run(create)
        # The story is more detailed than the log, and a fault injected a thousand times is not news.
        logging.disable(logging.CRITICAL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder."""
        logging.disable(self._log_level)
        shutil.rmtree(self._folder)

    def computers(self) -> list[SimulatedLedger]:
        """Give the computers an empty ledger."""
        for suffix in ("-wal", "-shm"):
            self._path.with_name(f"{self._path.name}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self._template, self._path)
        return self._computers
