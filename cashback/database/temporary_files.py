"""Temporary files: SQLite sorts large results in one. Without a folder for it, as with a read-only root, in memory."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

FOLDERS: Final = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108 -- where SQLite looks, nothing is written here
VARIABLES: Final = ("SQLITE_TMPDIR", "TMPDIR")
IN_MEMORY: Final = "temp_store = MEMORY"


def has_folder(environment: Mapping[str, str]) -> bool:
    """Return whether SQLite finds a folder for temporary files."""
    named = [environment[name] for name in VARIABLES if environment.get(name)]
    return any(Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK) for folder in (*named, *FOLDERS))


@cache
def pragmas() -> tuple[str, ...]:
    """Return the settings that a connection needs for its temporary files."""
    return () if has_folder(os.environ) else (IN_MEMORY,)
