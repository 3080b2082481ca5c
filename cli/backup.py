"""The command `backup`."""

from pathlib import Path

import anyio

from cashback.database.integrity import backup as copies
from cashback.database.integrity.backup import Backup
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.output import complain, counted, progress, remark, say, say_json


def backup(place: Place, file: Path, *, overwrite: bool, as_json: bool) -> int:
    """Copy the ledger to a file, read the copy back, and say what is in it."""
    settings = place.settings()
    with progress("Copying and reading back", None):
        made = copies.make(ledger(settings).path, file, overwrite=overwrite)
    if made.verdict is not None:
        anyio.run(_note, settings, made)
    if as_json:
        say_json(
            {
                "file": str(made.path.absolute()),
                "size_bytes": made.size_bytes,
                "balanced": made.verdict and made.verdict.balanced,
                "breaches": made.verdict.breaches if made.verdict else [],
                "audit_head": made.verdict and made.verdict.audit_head,
            }
        )
    else:
        say(f"{made.path} holds the ledger now: {made.size_bytes:,} bytes, read back and sound.")
        say(*[f"Audit head: {made.verdict.audit_head}"] if made.verdict else [])
    return _judge(made)


def _judge(made: Backup) -> int:
    """Say what is wrong with what was copied: that is no fault of the copy."""
    if made.verdict is None:
        remark("this program never used the file, so its books were not read and the backup is not in the audit log.")
        return 0
    if not made.verdict.balanced:
        breaches = counted(len(made.verdict.breaches), "breach", "breaches")
        complain(f"the books that were copied do not balance: {breaches}; `cashback verify` lists them.")
        return 3
    return 0


async def _note(settings: Settings, made: Backup) -> None:
    async with ledger(settings) as database:
        await database.write(copies.note, made, actor="cli", now=database.now())
