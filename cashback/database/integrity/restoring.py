"""Restoring a backup: it is checked, gets an identity of its own, and takes the ledger's place, which is kept.

What was recorded after the backup is not in it. So nothing may pay by itself afterwards: the schedule is paused, open
proposals are cancelled, batches under way are stopped, and nobody stays signed in.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, select, update

from cashback.database import closed_ledger, schema
from cashback.database.audit_log import add_entry, chain_head
from cashback.database.database import Database
from cashback.database.engine import ConnectionOwner
from cashback.database.integrity import backup, reconciliation
from cashback.database.integrity.reconciliation import Verdict
from cashback.database.payouts import proposals, reversals, runs
from cashback.database.schedule import schedule
from cashback.database.tables import (
    dashboard_links,
    dashboard_sessions,
    is_open,
    leases,
    payout_batches,
)
from cashback.database.tables import (
    reversals as all_reversals,
)
from cashback.domain.errors import CashbackError, DatabaseUnavailableError, StaleBatchError
from cashback.domain.model import BatchStatus, ReversalStatus

RESTORED: Final = "ledger_restored"
ACTOR: Final = "cli"
PAUSED: Final = "restored from a backup: compare what was paid after it"
SUFFIXES: Final = ("", "-wal", "-shm", "-journal")


class RestoreRefusedError(CashbackError):
    """The ledger was not restored, and is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A checked copy of a backup, not yet in the ledger's place: its file, its head, and the schema of the backup."""

    path: Path
    audit_head: str
    schema_before: str
    ledger_id: str


async def prepare(source: Path, location: Path, now: datetime) -> Prepared:
    """Copy a backup next to the ledger, upgrade and verify the copy, give it an identity; the backup stays as it is.

    Raises RestoreRefusedError if it is not a ledger or its books do not balance, or if the ledger in whose place it
    would be was moved; LedgerMovedError if the backup itself is of a moved ledger; DatabaseUnavailableError if it is
    damaged or of a newer version.
    """
    copy = location.with_name(f".{location.name}.restoring-{secrets.token_hex(4)}")
    try:
        await _require_not_moved(location)
        _copy(source, location, copy)
        revision = await _revision_of(copy, source)
        async with Database(copy, must_exist=True) as ledger:
            await ledger.read(closed_ledger.require_open)
            verdict = await ledger.read(reconciliation.verify)
            _require_balanced(verdict, source)
            ledger_id = secrets.token_hex(16)
            await ledger.write(renew, ledger_id=ledger_id, source=str(source), now=now)
    except BaseException:
        discard(copy)
        raise
    return Prepared(path=copy, audit_head=verdict.audit_head, schema_before=revision, ledger_id=ledger_id)


async def _require_not_moved(location: Path) -> None:
    """Refuse the place of a ledger that was moved: an older backup would pay there what the new ledger pays too.

    A file that cannot be read is no such ledger; to replace it is what a backup is for.
    """
    if not schema.may_hold_tables(location):
        return
    owner = ConnectionOwner(location)
    try:
        refusal = await owner.read(closed_ledger.moved_text)
    except DatabaseUnavailableError:
        return
    finally:
        owner.close()
    if refusal is not None:
        raise RestoreRefusedError(
            f"{location} is closed: {refusal}. Nothing was restored: both would pay the same cents. To go back for"
            f" good, rename {location} first."
        )


def _copy(source: Path, location: Path, copy: Path) -> None:
    if not source.is_file():
        raise RestoreRefusedError(f"{source} is not a file; name a backup.")
    if location.exists() and location.samefile(source):
        raise RestoreRefusedError(f"{source} is the ledger itself; name a backup.")
    backup.make(source, copy)


async def _revision_of(copy: Path, source: Path) -> str:
    """Return the schema of a ledger of ours. Raises RestoreRefusedError for any other file."""
    owner = ConnectionOwner(copy)
    try:
        revision = await owner.read(schema.revision_of)
    finally:
        owner.close()
    if revision is None:
        raise RestoreRefusedError(f"{source} is not a ledger of this program; name a backup of one.")
    return revision


def _require_balanced(verdict: Verdict, source: Path) -> None:
    if not verdict.balanced:
        raise RestoreRefusedError(
            f"The books of {source} do not balance ({verdict.breaches[0]}); restore an older backup."
        )


def renew(connection: Connection, *, ledger_id: str, source: str, now: datetime) -> None:
    """Give a restored ledger its identity, and end what the lost part of its history may have ended otherwise."""
    details = {"ledger_id": ledger_id, "file": source, "head": chain_head(connection)}
    add_entry(connection, at=now, actor=ACTOR, action=RESTORED, details=details)
    for number, status in connection.execute(select(payout_batches.c.number, payout_batches.c.status).where(is_open)):
        if status == BatchStatus.PROPOSED:
            proposals.cancel(connection, number, actor=ACTOR, now=now)
            continue
        with contextlib.suppress(StaleBatchError):
            # A batch without anything left to pay ends by itself.
            runs.stop(connection, number, actor=ACTOR, now=now)
    open_reversals = select(all_reversals.c.number).where(all_reversals.c.status == ReversalStatus.PROPOSED)
    for number in connection.scalars(open_reversals).all():
        with contextlib.suppress(StaleBatchError):
            reversals.cancel(connection, number, actor=ACTOR, now=now)
    state = schedule.find_state(connection)
    if state is not None and state.paused_by is None:
        schedule.pause(connection, actor=ACTOR, reason=PAUSED, now=now)
    connection.execute(delete(dashboard_links))
    connection.execute(delete(dashboard_sessions))
    connection.execute(update(leases).values(holder=None))


def replace(prepared: Prepared, location: Path, now: datetime) -> Path | None:
    """Put the copy in the ledger's place; return where the ledger with its log was put, None if there was none.

    A program that has the old ledger open notices that its file was moved, and pays no more.
    """
    names = (f"{location.stem}.before-restore-{now:%Y%m%d-%H%M%S}{each}{location.suffix}" for each in _endings())
    aside = next(path for path in map(location.with_name, names) if not path.exists())
    was_there = location.exists()
    _empty_log(location)
    # The log first: SQLite would apply one that is left behind to the restored file.
    for suffix in reversed(SUFFIXES):
        part = location.with_name(location.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    prepared.path.rename(location)
    return aside if was_there else None


def _endings() -> Iterator[str]:
    """Yield what makes the name of a second restore in one second another one."""
    yield ""
    yield from (f"-{number}" for number in count(2))


def _empty_log(location: Path) -> None:
    """Write the log into the file, so that a crash between two renames loses nothing. A damaged file stays as it is."""
    if location.exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(location)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def discard(copy: Path) -> None:
    """Remove a copy that does not take the ledger's place."""
    for suffix in SUFFIXES:
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
