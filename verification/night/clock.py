"""A clock for several processes: the machine's, moved by as many seconds as a file holds."""

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

SECONDS: Final = struct.Struct("d")


class SharedClock:
    """Shows the machine's time plus `offset_seconds`, which every process with the file may set and sees at once."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(SECONDS.pack(0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), SECONDS.size)

    def __call__(self) -> datetime:
        """Return the moment, aware and in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_seconds)

    @property
    def offset_seconds(self) -> float:
        """How far the clock is ahead of the machine's."""
        return float(SECONDS.unpack_from(self._memory)[0])

    @offset_seconds.setter
    def offset_seconds(self, seconds: float) -> None:
        SECONDS.pack_into(self._memory, 0, seconds)
