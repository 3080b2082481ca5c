"""Standard streams that were closed when the program started (`2>&-`) are replaced by the null device.

Otherwise the next file or socket gets the descriptor, and what is printed goes into it.
"""

import os
import sys
from typing import Final, TextIO

STANDARD_DESCRIPTORS: Final = (0, 1, 2)


def open_missing() -> None:
    """Open the null device for each closed standard stream. Standard input stays absent: it has no answers."""
    for descriptor in STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is given, and those below are open by now.
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 -- for the process's life


def drop(stream: TextIO) -> None:
    """Lead a stream that cannot be written to the null device: Python writes what it still holds at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
