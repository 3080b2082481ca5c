"""Backups: a consistent copy of the ledger's file, taken while the program continues to write.

The copy is a single file, read back before it gets its name, and replaces another file only on request.
"""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, StaticPool, create_engine

from cashback.database import temporary_files
from cashback.database.audit_log import BACKUP_MADE, add_entry, newest
from cashback.database.dialect import BUSY_TIMEOUT_SECONDS
from cashback.database.errors import translated
from cashback.database.integrity.reconciliation import Verdict, verify
from cashback.database.schema import NEWEST, revision_of
from cashback.domain.errors import CashbackError, DatabaseUnavailableError

NOT_WRITTEN: Final = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_FSYNC})
"""Failures that concern the copy: the ledger is only read."""


class BackupRefusedError(CashbackError):
    """No backup was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A completed backup: its path, its bytes, and the result of its reconciliation.

    `verdict` is None for a file of another schema than this program's, for example another bot's that was never
    adopted.
    """

    path: Path
    size_bytes: int
    verdict: Verdict | None


def make(source: Path, target: Path, *, overwrite: bool = False) -> Backup:
    """Copy the ledger's present state during writes by other processes; return the backup. The source is not changed.

    Raises BackupRefusedError if the target exists or is in use, and DatabaseUnavailableError if the source cannot be
    read or is damaged; then there is no new file.
    """
    if not source.is_file():
        raise DatabaseUnavailableError(f"Database {source} does not exist; there is nothing to back up.")
    if not source.stat().st_size:
        raise DatabaseUnavailableError(f"Database {source} is empty; there is nothing to back up.")
    _require_unused(source, target)
    if not overwrite:
        _require_free(target)
    _require_regular(target)
    with _beside(target) as unnamed:
        try:
            verdict = _copy(source, unnamed)
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise BackupRefusedError(
                    f"There is not enough space for a backup in {target.absolute().parent}."
                ) from error
            if error.sqlite_errorcode in NOT_WRITTEN:
                raise BackupRefusedError(
                    f"A backup cannot be written in {target.absolute().parent} (disk I/O error); check that disk, and"
                    " the limits on the size of files."
                ) from error
            raise translated(error, source) from error
        _onto_disk(unnamed)
        size_bytes = unnamed.stat().st_size
        if not overwrite:
            _reserve(target)
        unnamed.replace(target)
    _onto_disk(target.parent)
    return Backup(path=target, size_bytes=size_bytes, verdict=verdict)


def _require_unused(source: Path, target: Path) -> None:
    """Refuse to replace the ledger by its copy, or to put a file next to a log that SQLite would replay into it."""
    if target.exists() and target.samefile(source):
        raise BackupRefusedError(f"{target} is the ledger itself; name another file.")
    for suffix in ("-wal", "-journal"):
        log = target.with_name(target.name + suffix)
        if log.exists():
            raise BackupRefusedError(f"{log} exists: a program has {target} open, or left it so; name another file.")


def _require_free(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise BackupRefusedError(f"{target} already exists and was not changed; name another file or --overwrite.")


def _require_regular(target: Path) -> None:
    """Refuse to replace a device, a pipe, a folder, or a link to one or to nothing."""
    if (target.exists() or target.is_symlink()) and not target.is_file():
        raise BackupRefusedError(f"{target} is not a regular file and was not changed; name another file.")


def _reserve(target: Path) -> None:
    """Reserve the name if it is free. The file that replaces it follows at once."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        _require_free(target)
        raise


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield a temporary file, readable by its owner only, in the target's folder; it is removed afterwards."""
    if not target.parent.is_dir():
        raise BackupRefusedError(f"The folder {target.parent} does not exist; create it first.")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", suffix=".partial", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)


def _copy(source: Path, unnamed: Path) -> Verdict | None:
    """Copy in one step, on one snapshot, and read all of the copy; return its reconciliation."""
    # A plain path would create a source that was removed in the meantime.
    address = f"{source.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_SECONDS)) as origin,
        closing(sqlite3.connect(unnamed, isolation_level=None)) as copy,
    ):
        for pragma in temporary_files.pragmas():
            copy.execute(f"PRAGMA {pragma}")
        origin.backup(copy)
        # One file, not three: it includes what belongs to the write-ahead log.
        copy.execute("PRAGMA journal_mode=DELETE")
        found = [line for (line,) in copy.execute("PRAGMA integrity_check(1)")]
        if found != ["ok"]:
            message = f"Database {source} is damaged ({' '.join(found[0].split())}); its copy was not kept."
            raise DatabaseUnavailableError(message)
        engine = create_engine("sqlite+pysqlite://", creator=lambda: copy, poolclass=StaticPool)
        with engine.connect() as connection:
            return verify(connection) if revision_of(connection) == NEWEST else None


def _onto_disk(path: Path) -> None:
    """Flush a file, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def note(connection: Connection, backup: Backup, *, actor: str, now: datetime) -> None:
    """Record a backup in the audit log, so that the time of the last one is known."""
    details = {"file": str(backup.path.absolute()), "size_bytes": backup.size_bytes}
    add_entry(connection, at=now, actor=actor, action=BACKUP_MADE, details=details)


def last_made(connection: Connection) -> dict[str, Any] | None:
    """Return the audit entry of the newest backup, its moment under `at`; None if there was no backup."""
    return newest(connection, BACKUP_MADE)
