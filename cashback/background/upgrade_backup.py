"""The backup before an upgrade: a copy of the ledger's file as the older version of the program left it."""

from datetime import datetime
from pathlib import Path

from cashback.background.running_bot import require_stopped
from cashback.database import schema
from cashback.database.dialect import Location
from cashback.database.engine import ConnectionOwner
from cashback.database.integrity import backup


async def back_up_if_older(location: Location, now: datetime) -> Path | None:
    """Copy a file that the next opening upgrades; return the copy, None if there is nothing to copy.

    A ledger on PostgreSQL is not copied. Raises BotRunningError if a bot still pays from the older ledger: it would go
    on in a schema that it does not know, and the copy would lack what it pays in between. Raises BackupRefusedError if
    there is no space. Nothing is upgraded then.
    """
    if not schema.may_hold_tables(location):
        return None
    owner = ConnectionOwner(location)
    try:
        revision = await owner.read(schema.revision_of)
    finally:
        owner.close()
    if not schema.is_older(revision):
        return None
    await require_stopped(location)
    if not isinstance(location, Path):
        return None
    target = location.with_name(f"{location.stem}.schema-{revision}-{now:%Y%m%d-%H%M%S}{location.suffix}")
    return backup.make(location, target).path
